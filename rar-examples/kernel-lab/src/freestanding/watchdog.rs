//! A bound on each run of a test: the timer of the initiator's local APIC ends a run that does not
//! end otherwise.
//!
//! A CPU that waits in vain for others gives up by itself. The timer is for a run in which all CPUs
//! are busy forever, or halted.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rar_kernel::{apic, clock, percpu, set_interrupt_handler, vector};

use super::abort;

/// How long the timer's clock is measured.
const MEASURE_MICROSECONDS: u64 = 2_000;
/// The suite's own patience at a barrier.
const PATIENCE_SECONDS: u64 = 20;

static PATIENCE: AtomicU64 = AtomicU64::new(PATIENCE_SECONDS);
/// Seconds that a run of a test may take; 0 sets no bound.
static LIMIT_SECONDS: AtomicU64 = AtomicU64::new(0);
/// The timer's counts in a millisecond.
static RATE: AtomicU32 = AtomicU32::new(0);
/// When the run that goes on has to be done, by the time stamp counter.
static DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);

/// Sets how many seconds a CPU may take to come to a barrier, and how many a run of a test may take
/// in all. Called by one CPU before a suite.
pub fn set(patience: u64, limit: u64) {
    PATIENCE.store(patience, Ordering::Relaxed);
    if limit == 0 {
        return;
    }
    let Some(apic) = apic::get() else { return };
    set_interrupt_handler(vector::TIMER, |_| on_timer());
    apic.start_timer(u32::MAX);
    let before = apic.timer_rest();
    clock::delay_microseconds(MEASURE_MICROSECONDS);
    let counted = u64::from(before.saturating_sub(apic.timer_rest()));
    apic.start_timer(0);
    let rate = counted * 1_000 / MEASURE_MICROSECONDS;
    RATE.store(u32::try_from(rate).unwrap_or(u32::MAX), Ordering::Relaxed);
    LIMIT_SECONDS.store(limit, Ordering::Relaxed);
}

pub(crate) fn patience_seconds() -> u64 {
    PATIENCE.load(Ordering::Relaxed)
}

/// A run begins on this CPU.
pub(crate) fn begin() {
    let limit = 1_000 * LIMIT_SECONDS.load(Ordering::Relaxed);
    if limit > 0 {
        let length = limit.saturating_mul(clock::ticks_per_millisecond());
        DEADLINE.store(clock::now().saturating_add(length), Ordering::Relaxed);
        arm(limit);
    }
}

/// The run that began on this CPU has ended.
pub(crate) fn end() {
    if DEADLINE.swap(u64::MAX, Ordering::Relaxed) != u64::MAX
        && let Some(apic) = apic::get()
    {
        apic.start_timer(0);
    }
}

/// Lets the timer of this CPU fire after some milliseconds, or sooner if it cannot count that far.
fn arm(milliseconds: u64) {
    let count = milliseconds.saturating_mul(u64::from(RATE.load(Ordering::Relaxed)));
    if let Some(apic) = apic::get().filter(|_| count > 0) {
        apic.start_timer(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

fn on_timer() {
    let deadline = DEADLINE.load(Ordering::Relaxed);
    if deadline == u64::MAX {
        return;
    }
    let now = clock::now();
    if now < deadline {
        arm((deadline - now) / clock::ticks_per_millisecond().max(1) + 1);
        return;
    }
    let seconds = LIMIT_SECONDS.load(Ordering::Relaxed);
    let why = format_args!(
        "the watchdog of CPU {}: a run of a test took more than {seconds} s",
        percpu::this().number()
    );
    abort::give_up(abort::Cause::Hung, why)
}
