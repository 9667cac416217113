//! Handlers of non-maskable interrupts.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::atomic_fn::{AtomicFn, FunctionPointer};

/// A handler: it may have interrupted anything, takes no lock, and ends.
pub type NmiHandler = fn();

// SAFETY: a function pointer.
unsafe impl FunctionPointer for NmiHandler {}

/// Room for handlers.
const MAX_HANDLERS: usize = 4;

static HANDLERS: [AtomicFn<NmiHandler>; MAX_HANDLERS] = [const { AtomicFn::new() }; MAX_HANDLERS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Adds a function that every NMI on every CPU calls, after the ones added before; returns whether
/// there was room.
#[must_use = "a handler without room is not called"]
pub fn add_nmi_handler(handler: NmiHandler) -> bool {
    let place = HANDLERS.get(COUNT.fetch_add(1, Ordering::Relaxed));
    place.inspect(|place| place.set(handler)).is_some()
}

/// Calls the handlers.
pub(crate) fn handle() {
    for handler in HANDLERS.iter().filter_map(AtomicFn::get) {
        handler();
    }
}
