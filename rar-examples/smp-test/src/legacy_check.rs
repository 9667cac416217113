//! Interrupts of the legacy controllers: what the host has taken early can still be masked and
//! forgotten, and vectors are the guest's.

use core::sync::atomic::{AtomicU32, Ordering};

use rar_kernel::{apic, clock, irq, percpu, set_interrupt_handler};
use rar_kernel_lab::devices;
use rar_kernel_lab::legacy_controllers::{self, Ends, Register};

/// How long an interrupt may take to come: a host that is busy may not run the device's thread.
const MILLISECONDS: u64 = 10_000;
/// Between two looks at a controller. Each takes QEMU's lock, which its devices need as well.
const LOOK_MICROSECONDS: u64 = 1_000;
/// How long nothing may come.
const MICROSECONDS: u64 = 2_000;
const TIMER_TICKS: u16 = 100;
/// Where a BIOS has them: the first are those of exceptions.
const BIOS: [u8; 2] = [0x08, 0x70];
const OURS: [u8; 2] = [0x58, 0x68];
/// The kernel's handler of these does nothing.
const IGNORED: [u8; 2] = [0x20, 0x28];
const TIMER: u8 = 0x58;
const CLOCK: u8 = 0x68;
const OWN: u8 = 0x42;

static TIMER_SEEN: AtomicU32 = AtomicU32::new(0);
static CLOCK_SEEN: AtomicU32 = AtomicU32::new(0);
static OWN_SEEN: AtomicU32 = AtomicU32::new(0);
/// What was in service at the master when the timer's interrupt was served.
static IN_SERVICE: AtomicU32 = AtomicU32::new(0);

/// Says what of it is not so.
pub(crate) fn check() -> Result<(), &'static str> {
    let Some(apic) = apic::get() else {
        return Ok(());
    };
    set_interrupt_handler(TIMER, |_| {
        TIMER_SEEN.fetch_add(1, Ordering::AcqRel);
        let in_service = legacy_controllers::read_master(Register::InService);
        IN_SERVICE.store(u32::from(in_service), Ordering::Release);
        legacy_controllers::end_master();
    });
    set_interrupt_handler(CLOCK, |_| {
        CLOCK_SEEN.fetch_add(1, Ordering::AcqRel);
        devices::quiet_clock();
        legacy_controllers::end_slave();
    });
    set_interrupt_handler(OWN, |_| {
        OWN_SEEN.fetch_add(1, Ordering::AcqRel);
    });
    devices::quiet_clock();
    apic.accept_legacy();
    let result = forgotten_by_a_move()
        .and_then(|()| masked_while_it_waits())
        .and_then(|()| several_at_once())
        .and_then(|()| behind_one_without_end());
    apic.refuse_legacy();
    legacy_controllers::give_back();
    devices::quiet_clock();
    result
}

/// The timer's interrupt comes while this CPU takes none; returns whether it is requested.
///
/// Its line stays up, and controllers go by edges: no other comes until the timer is started again,
/// however long this CPU is not run. A timer made quiet would count on, and interrupt after 55 ms.
fn let_timer_wait() -> bool {
    devices::start_timer(TIMER_TICKS);
    clock::wait_until(MILLISECONDS, || {
        clock::delay_microseconds(LOOK_MICROSECONDS);
        legacy_controllers::read_master(Register::Requested) & 1 != 0
    })
}

fn timer_came(times: u32) -> bool {
    let seen = || TIMER_SEEN.load(Ordering::Acquire);
    clock::wait_until(MILLISECONDS, || seen() >= times) && seen() == times
}

/// An operating system moves the controllers while an interrupt of the BIOS waits.
fn forgotten_by_a_move() -> Result<(), &'static str> {
    irq::disable();
    legacy_controllers::initialise(BIOS, Ends::ByCommand);
    let requested = let_timer_wait();
    let in_service = legacy_controllers::read_master(Register::InService);
    legacy_controllers::initialise(OURS, Ends::ByCommand);
    irq::enable();
    clock::delay_microseconds(MICROSECONDS);
    if !requested {
        return Err("an interrupt of the timer that waits is not shown as requested");
    }
    if in_service != 0 {
        return Err("an interrupt that waits is shown as in service");
    }
    if TIMER_SEEN.load(Ordering::Acquire) != 0 {
        return Err("an interrupt outlived the initialisation of its controller");
    }
    devices::start_timer(TIMER_TICKS);
    if !timer_came(1) {
        return Err("the timer's interrupt did not come by the legacy controllers");
    }
    if IN_SERVICE.load(Ordering::Acquire) != 1 {
        return Err("the timer's interrupt was not in service at its controller");
    }
    Ok(())
}

fn masked_while_it_waits() -> Result<(), &'static str> {
    irq::disable();
    let requested = let_timer_wait();
    legacy_controllers::mask();
    irq::enable();
    clock::delay_microseconds(MICROSECONDS);
    if !requested || TIMER_SEEN.load(Ordering::Acquire) != 1 {
        return Err("an interrupt came although its controller holds it back");
    }
    legacy_controllers::open();
    if !timer_came(2) {
        return Err("an interrupt that was held back for a while did not come");
    }
    Ok(())
}

/// Both controllers and the local APIC have something.
fn several_at_once() -> Result<(), &'static str> {
    let all = [&TIMER_SEEN, &CLOCK_SEEN, &OWN_SEEN];
    let seen = || all.map(|count| count.load(Ordering::Acquire));
    let before = seen();
    irq::disable();
    legacy_controllers::initialise(OURS, Ends::ByCommand);
    devices::start_clock();
    let sent = apic::send_fixed(percpu::this().apic_id(), OWN);
    let requested = let_timer_wait();
    irq::enable();
    let wanted = before.map(|count| count + 1);
    let came = clock::wait_until(MILLISECONDS, || {
        seen()
            .iter()
            .zip(wanted)
            .all(|(count, wanted)| *count >= wanted)
    });
    if sent.is_err() || !requested || !came {
        return Err("of several interrupts that waited not all came");
    }
    Ok(())
}

/// An interrupt of the local APIC waits behind one that ends by itself, and whose handler accesses
/// no port and no register.
fn behind_one_without_end() -> Result<(), &'static str> {
    let seen = || OWN_SEEN.load(Ordering::Acquire);
    let before = seen();
    irq::disable();
    legacy_controllers::initialise(IGNORED, Ends::ByItself);
    let sent = apic::send_fixed(percpu::this().apic_id(), OWN);
    let requested = let_timer_wait();
    irq::enable();
    let came = clock::wait_until(MILLISECONDS, || seen() > before);
    if sent.is_err() || !requested || !came {
        return Err("an interrupt behind one that ends by itself did not come");
    }
    Ok(())
}
