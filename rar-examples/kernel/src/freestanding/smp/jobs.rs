//! Work for every CPU at once.

use core::sync::atomic::{AtomicU64, Ordering};

use rar_percpu::CpuId;

use super::cpu_table::all;
use crate::freestanding::atomic_fn::{AtomicFn, FunctionPointer};
use crate::freestanding::cpu::vector;
use crate::freestanding::percpu::{self, PerCpu};
use crate::freestanding::{apic, irq, log};

// SAFETY: a function pointer.
unsafe impl FunctionPointer for fn(CpuId) {}

static JOB: AtomicFn<fn(CpuId)> = AtomicFn::new();
/// Jobs given out so far.
static JOBS: AtomicU64 = AtomicU64::new(0);

/// Runs a function on every CPU, this one included, and returns when it is done *here*. Called by
/// CPU 0.
///
/// Give out the next job only when [`everyone_done`] says so.
pub fn run_on_all(job: fn(CpuId)) {
    JOB.set(job);
    // Release pairs with the Acquire in `next_job`.
    let number = JOBS.fetch_add(1, Ordering::Release) + 1;
    let me = percpu::this();
    for cpu in all().filter(|cpu| cpu.number() != me.number()) {
        // A CPU that cannot be woken shows as not done.
        let _ = apic::send_fixed(cpu.apic_id(), vector::WAKE);
    }
    job(me.id());
    me.jobs_done().store(number, Ordering::Release);
}

/// Returns whether every CPU has finished the last job.
#[must_use]
pub fn everyone_done() -> bool {
    done(all())
}

/// Returns whether these CPUs have finished the last job.
#[must_use]
pub fn done(mut cpus: impl Iterator<Item = &'static PerCpu>) -> bool {
    let number = JOBS.load(Ordering::Acquire);
    cpus.all(|cpu| cpu.jobs_done().load(Ordering::Acquire) >= number)
}

fn next_job(done: u64) -> Option<fn(CpuId)> {
    if JOBS.load(Ordering::Acquire) == done {
        return None;
    }
    JOB.get()
}

/// What a CPU does from then on: halt, wake, work.
pub(crate) fn idle() -> ! {
    let me = percpu::this();
    loop {
        log::drain();
        irq::disable();
        let done = me.jobs_done().load(Ordering::Relaxed);
        match next_job(done) {
            Some(job) => {
                irq::enable();
                job(me.id());
                me.jobs_done().store(done + 1, Ordering::Release);
            }
            // The check and the halt are one step: an interrupt that comes in between ends the
            // halt.
            None => irq::enable_and_halt(),
        }
    }
}
