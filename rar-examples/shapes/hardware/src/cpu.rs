//! CPUs: their numbers, their interrupt lines, their clock.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use rar_shootdown::rar_percpu::{CpuSet, Domain, PerCpu};
use rar_shootdown::{Instant, NotSent};

/// How many CPUs the machine has.
pub const CPUS: usize = 4;

/// How far each reading moves the clock unless told otherwise, in nanoseconds.
pub const CLOCK_STEP_AT_START: u64 = 20;

static LINES: [AtomicBool; CPUS] = [const { AtomicBool::new(false) }; CPUS];
static GS_BASES: [AtomicPtr<()>; CPUS] = [const { AtomicPtr::new(null_mut()) }; CPUS];
static CLOCK: AtomicU64 = AtomicU64::new(0);
static CLOCK_STEP: AtomicU64 = AtomicU64::new(CLOCK_STEP_AT_START);

/// Returns the APIC id of the CPU that the code runs on. On this machine it can be its number, too.
#[must_use]
pub fn this_cpu() -> u32 {
    #[cfg(feature = "fake")]
    return crate::fake::this_thread();
    #[cfg(not(feature = "fake"))]
    0
}

/// Returns the GS base of this CPU: where its per-CPU memory lies, or null before it was set.
#[must_use]
pub fn gs_base() -> *mut () {
    GS_BASES
        .get(this_cpu() as usize)
        .map_or(null_mut(), |base| base.load(Ordering::Acquire))
}

/// Sets the GS base of this CPU.
pub fn set_gs_base(base: *mut ()) {
    if let Some(place) = GS_BASES.get(this_cpu() as usize) {
        place.store(base, Ordering::Release);
    }
}

/// Raises the interrupt line of each target. It stands for the kernel's APIC driver.
///
/// # Errors
///
/// [`NotSent::Unreachable`] for the first target that has no line.
pub fn send_interrupts<const WORDS: usize>(
    domain: &Domain<WORDS>,
    targets: &CpuSet<WORDS>,
) -> Result<(), NotSent> {
    for target in targets.iter() {
        let line = domain
            .cpu(target)
            .and_then(PerCpu::apic_id)
            .and_then(|apic_id| LINES.get(apic_id.get() as usize))
            .ok_or(NotSent::Unreachable(target))?;
        line.store(true, Ordering::Release);
    }
    Ok(())
}

/// Lowers this CPU's interrupt line; returns whether it was raised, so that the kernel's handler is
/// to be called.
pub fn take_interrupt() -> bool {
    LINES
        .get(this_cpu() as usize)
        .is_some_and(|line| line.swap(false, Ordering::AcqRel))
}

/// Returns the time. The clock moves only when it is read.
#[must_use]
pub fn now() -> Instant {
    // A reader of the clock waits for a CPU, which may be a thread that does not run at the moment.
    #[cfg(feature = "fake")]
    std::thread::yield_now();
    let step = CLOCK_STEP.load(Ordering::Relaxed);
    Instant::from_nanos(CLOCK.fetch_add(step, Ordering::Relaxed))
}

/// Sets how far each reading moves the clock, [`CLOCK_STEP_AT_START`] until then. A large step
/// makes a silent CPU late soon.
pub fn set_clock_step(nanoseconds: u64) {
    CLOCK_STEP.store(nanoseconds, Ordering::Relaxed);
}
