//! Handlers of non-maskable interrupts.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::apic::{self, SendError};
use super::atomic_fn::{AtomicFn, FunctionPointer};
use super::percpu::{self, PerCpu};
use super::strays;
use crate::NMI_VECTOR;

/// A handler: it may have interrupted anything, takes no lock, and ends.
pub type NmiHandler = fn();

// SAFETY: a function pointer.
unsafe impl FunctionPointer for NmiHandler {}

/// Room for handlers.
const MAX_HANDLERS: usize = 4;

static HANDLERS: [AtomicFn<NmiHandler>; MAX_HANDLERS] = [const { AtomicFn::new() }; MAX_HANDLERS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Adds a function that every [sent](send_nmi) NMI calls on its CPU, after the ones added before;
/// returns whether there was room.
#[must_use = "a handler without room is not called"]
pub fn add_nmi_handler(handler: NmiHandler) -> bool {
    let place = HANDLERS.get(COUNT.fetch_add(1, Ordering::Relaxed));
    place.inspect(|place| place.set(handler)).is_some()
}

/// Sends a non-maskable interrupt. Only those that are sent here call the handlers: a machine has
/// others, from a watchdog or a management controller.
///
/// # Errors
///
/// As for [`apic::send_fixed`].
pub fn send_nmi(cpu: &PerCpu) -> Result<(), SendError> {
    let expected = cpu.expected_nmis();
    // Release pairs with the exchange in `handle`.
    expected.fetch_add(1, Ordering::Release);
    apic::send_nmi(cpu.apic_id()).inspect_err(|_| {
        // It is not counted twice if the CPU has taken another one for it.
        let _left = take(expected);
    })
}

/// Takes one from a count; returns whether it was not zero.
fn take(expected: &AtomicU32) -> bool {
    expected
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, |count| {
            count.checked_sub(1)
        })
        .is_ok()
}

/// Expects no NMI on this CPU any more: of two that were sent at once, a CPU may take one.
pub fn forget_sent_nmis() {
    percpu::this().expected_nmis().store(0, Ordering::Relaxed);
}

/// Calls the handlers if the NMI is one that was sent, and counts it otherwise.
pub(crate) fn handle() {
    if !take(percpu::this().expected_nmis()) {
        strays::count(NMI_VECTOR);
        return;
    }
    for handler in HANDLERS.iter().filter_map(AtomicFn::get) {
        handler();
    }
}
