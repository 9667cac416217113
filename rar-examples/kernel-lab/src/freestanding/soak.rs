//! A soak on one backend, on every CPU.

use core::sync::atomic::{AtomicBool, Ordering};

use rar_kernel::Once;
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
static LIFE: Life = Life::new();
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
    let lab = make_lab(backend, &options.run)?;
    let made = lab.make_further_spaces();
    made.map_err(|error| RunError::Lab(StartError::Memory(error)))?;
    run_everywhere(soak_here)?;
    Ok(PASSED.load(Ordering::Acquire))
}

fn soak_here(cpu: CpuId) {
    if let (Some(lab), Some(options)) = (current(), OPTIONS.get()) {
        lab.join();
        let verdict = LIFE.run(lab, options);
        lab.leave();
        if cpu.get() == 0 {
            PASSED.store(verdict.passed(), Ordering::Release);
        }
    }
}
