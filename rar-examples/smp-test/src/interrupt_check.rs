//! Interrupts are as on a processor: what CR8 holds back, level-triggered ones that end out of
//! order, and those that name a CPU by its logical address.

use core::sync::atomic::{AtomicU32, Ordering};

use rar_kernel::{LocalApic, apic, clock, irq, percpu, set_interrupt_handler};
use rar_kernel_lab::devices::{self, IoApic, Line};
use rar_kernel_lab::task_priority;

/// How long an interrupt may take to come: a host that is busy may not run the device's thread.
const MILLISECONDS: u64 = 10_000;
/// How long a handler waits, so that the next interrupt is there before its end.
const MICROSECONDS: u64 = 2_000;
/// How long one may not come that names no CPU.
const NONE_MILLISECONDS: u64 = 100;
const OWN: u8 = 0x41;
const LOW: u8 = 0x51;
const HIGH: u8 = 0x61;
const LOGICAL: u8 = 0x71;
const TIMER_TICKS: u16 = 100;
const HIGHEST_CLASS: u8 = 15;

static OWN_SEEN: AtomicU32 = AtomicU32::new(0);
static LOW_SEEN: AtomicU32 = AtomicU32::new(0);
static HIGH_SEEN: AtomicU32 = AtomicU32::new(0);
static LOGICAL_SEEN: AtomicU32 = AtomicU32::new(0);

/// Says what of it is not so.
pub(crate) fn check() -> Result<(), &'static str> {
    task_priority_counts_at_once()?;
    levels_end_in_any_order()?;
    logical_addresses_are_known()
}

/// An interrupt waits, and CR8 holds it back or lets it through without any other exit.
fn task_priority_counts_at_once() -> Result<(), &'static str> {
    set_interrupt_handler(OWN, |_| {
        OWN_SEEN.fetch_add(1, Ordering::AcqRel);
    });
    let seen = || OWN_SEEN.load(Ordering::Acquire);
    irq::disable();
    let sent = apic::send_fixed(percpu::this().apic_id(), OWN);
    task_priority::set(HIGHEST_CLASS);
    irq::enable();
    let early = seen();
    task_priority::set(0);
    let then = seen();
    if sent.is_err() || early != 0 {
        return Err("an interrupt that CR8 holds back was delivered");
    }
    if then != 1 {
        return Err("an interrupt that CR8 held back was not delivered at the write of CR8");
    }
    Ok(())
}

/// A handler lets a higher interrupt come, and ends its own first.
fn levels_end_in_any_order() -> Result<(), &'static str> {
    let io_apic = IoApic::new().map_err(|_| "the I/O APIC cannot be mapped")?;
    let me = percpu::this().apic_id();
    set_interrupt_handler(LOW, |_| {
        if LOW_SEEN.fetch_add(1, Ordering::AcqRel) == 0 {
            devices::start_timer(TIMER_TICKS);
            clock::delay_microseconds(MICROSECONDS);
        }
        devices::quiet_clock();
    });
    set_interrupt_handler(HIGH, |_| {
        HIGH_SEEN.fetch_add(1, Ordering::AcqRel);
        devices::quiet_timer();
    });
    devices::quiet_timer();
    devices::quiet_clock();
    io_apic.route(Line::Clock, LOW, me);
    io_apic.route(Line::Timer, HIGH, me);
    let came = |seen: &AtomicU32, times| {
        clock::wait_until(MILLISECONDS, || seen.load(Ordering::Acquire) >= times)
    };
    devices::start_clock();
    let first = came(&LOW_SEEN, 1) && came(&HIGH_SEEN, 1);
    devices::start_clock();
    let second = came(&LOW_SEEN, 2);
    io_apic.mask(Line::Clock);
    io_apic.mask(Line::Timer);
    devices::quiet_clock();
    match (first, second) {
        (false, _) => Err("a level-triggered interrupt did not come"),
        (_, false) => Err("a level-triggered interrupt that ended early never came again"),
        _ => Ok(()),
    }
}

/// A device names this CPU by the logical address that this CPU has given itself, or has as an
/// x2APIC.
fn logical_addresses_are_known() -> Result<(), &'static str> {
    let io_apic = IoApic::new().map_err(|_| "the I/O APIC cannot be mapped")?;
    let own = apic::get().map(LocalApic::take_logical_address);
    let own = own.ok_or("there is no local APIC")?;
    set_interrupt_handler(LOGICAL, |_| {
        LOGICAL_SEEN.fetch_add(1, Ordering::AcqRel);
        devices::quiet_timer();
    });
    let came = |to, milliseconds| {
        devices::quiet_timer();
        let before = LOGICAL_SEEN.load(Ordering::Acquire);
        io_apic.route_logically(Line::Timer, LOGICAL, to);
        devices::start_timer(TIMER_TICKS);
        let seen = || LOGICAL_SEEN.load(Ordering::Acquire) > before;
        let came = clock::wait_until(milliseconds, seen);
        io_apic.mask(Line::Timer);
        devices::quiet_timer();
        came
    };
    if came(0, NONE_MILLISECONDS) {
        return Err("an interrupt for no logical address came");
    }
    if !came(own, MILLISECONDS) {
        return Err("an interrupt for this CPU's logical address did not come");
    }
    Ok(())
}
