//! A soak on one backend, on every CPU.

use core::sync::atomic::{AtomicBool, Ordering};

use rar_kernel::Once;
use rar_kernel::frames::{self, Place};
use rar_kernel::paging::MapError;
use rar_percpu::CpuId;
use rar_soak::{Life, Limit, SoakOptions};
use rar_suite::Backend;

use super::lab::current;
use super::run::{RunError, make_lab, run_everywhere};
use super::start::StartError;
use crate::options::SoakRun;

/// A CPU goes offline more often than other faults come, since that takes no time-out.
const OFFLINE: u32 = 8;

static OPTIONS: Once<SoakOptions> = Once::new();
static LIFE: Once<&'static Life> = Once::new();
static PASSED: AtomicBool = AtomicBool::new(false);

/// Runs a soak on one backend, on every CPU; returns whether nothing went wrong. Called once, by
/// CPU 0.
///
/// # Errors
///
/// [`RunError`] says why the soak did not run to its end.
pub fn soak_backend(backend: Backend, options: &SoakRun<'static>) -> Result<bool, RunError> {
    let _first = OPTIONS.set(SoakOptions {
        seed: options.seed,
        limit: Limit::Milliseconds(1_000 * options.seconds.unwrap_or(1)),
        fault_every: options.faults,
        offline_every: options.faults.div_ceil(OFFLINE),
    });
    make_lab(backend, &options.run)?;
    let memory = StartError::Memory(MapError::OutOfFrames);
    let life = new_life().ok_or(RunError::Lab(memory))?;
    let _first = LIFE.set(life);
    run_everywhere(soak_here)?;
    Ok(PASSED.load(Ordering::Acquire))
}

/// A function of its own, so that what it moves over the stack is gone when it returns.
#[inline(never)]
fn new_life() -> Option<&'static Life> {
    frames::alloc_static_in(Place::Aside, Life::new())
}

fn soak_here(cpu: CpuId) {
    if let (Some(lab), Some(options), Some(life)) = (current(), OPTIONS.get(), LIFE.get()) {
        lab.join();
        let verdict = life.run(lab, options);
        lab.leave();
        if cpu.get() == 0 {
            PASSED.store(verdict.passed(), Ordering::Release);
        }
    }
}
