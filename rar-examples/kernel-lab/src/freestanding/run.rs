//! One backend after the other: launch, detect, make the laboratory, run the suite on every CPU.

use core::fmt;

use rar_kernel::{Once, clock, println, smp};
use rar_percpu::CpuId;
use rar_regs::CpuSignature;
use rar_suite::{Backend, Counts, Options};

use super::lab::{KernelLab, current};
use super::late_launch::{LateLaunchError, launch_everywhere};
use super::rar_provider::{ModelCheck, SupportError, detect, enumerate};
use super::shim::Units;
use super::start::{StartError, start};
use super::{fault_injection, late_join, watchdog};
use crate::options::{Joins, Models, OddTable, RunOptions, UsualAmounts};

/// How long CPUs may take to return from the suite after the first has.
const LAST_CPU_MILLISECONDS: u64 = 10_000;

static SUITE_OPTIONS: Once<Options<'static>> = Once::new();
/// The CPU that disagrees, if it joins late.
static LATE: Once<OddTable> = Once::new();

/// Why a backend did not run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// The shim is on no CPU, or on some.
    Shim(LateLaunchError),
    /// No source lists the processor's model, so that its RAR bit may mean something else.
    UnlistedModel(CpuSignature),
    /// The machine has no RAR units.
    NoRar(SupportError),
    /// The driver refuses units that the machine announces.
    Refused(SupportError),
    /// There is no laboratory.
    Lab(StartError),
    /// A CPU did not return from the suite.
    CpuMissing,
}

/// What can follow a backend that did not run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The backend does not exist here; the next one can run.
    Next,
    /// The driver refuses a backend that exists; the next one can run.
    Doubt,
    /// CPUs are where they should not be: nothing can follow.
    End,
}

impl RunError {
    /// Returns what can follow.
    #[must_use]
    pub fn consequence(&self) -> Consequence {
        match self {
            Self::Shim(LateLaunchError::Memory(_) | LateLaunchError::Refused { .. })
            | Self::UnlistedModel(_)
            | Self::NoRar(_)
            | Self::Lab(_) => Consequence::Next,
            Self::Refused(_) => Consequence::Doubt,
            Self::Shim(_) | Self::CpuMissing => Consequence::End,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shim(error) => write!(f, "no shim: {error}"),
            Self::UnlistedModel(signature) => write!(
                f,
                "{signature} sets the RAR bit, but no source lists it; \
                 the option models=any tries it"
            ),
            Self::NoRar(error) | Self::Refused(error) => error.fmt(f),
            Self::Lab(error) => write!(f, "no laboratory: {error}"),
            Self::CpuMissing => f.write_str("a CPU did not return from the suite"),
        }
    }
}

impl core::error::Error for RunError {}

/// Sets the bounds of all runs, and the fault to be injected. Called once, on CPU 0.
pub fn prepare(options: &RunOptions<'static>) {
    watchdog::set(options.patience, options.test_seconds);
    if let Some(stop) = options.stop {
        println!(
            "fault injection: CPU {} stops in test {}",
            stop.cpu, stop.test
        );
        fault_injection::inject(stop);
    }
}

/// Runs the suite on one backend, on every CPU. Called by CPU 0, with the same options each time.
///
/// # Errors
///
/// [`RunError`] says why the suite did not run to its end, and [what can
/// follow](RunError::consequence).
pub fn run_backend(
    backend: Backend,
    options: &RunOptions<'static>,
    usual: &UsualAmounts,
) -> Result<Counts, RunError> {
    let _first = SUITE_OPTIONS.set(options.suite(usual));
    if let (Some(odd), Joins::Late) = (options.odd_table, options.odd_joins) {
        let _first = LATE.set(odd);
    }
    let lab = make_lab(backend, options)?;
    run_everywhere(run_here)?;
    if let Some(count) = lab.executed() {
        println!("RAR units executed {count} entries");
    }
    Ok(lab.summary().unwrap_or_default())
}

/// Makes the laboratory of a backend, and the backend itself.
pub(crate) fn make_lab(
    backend: Backend,
    options: &RunOptions<'static>,
) -> Result<&'static KernelLab, RunError> {
    if backend == Backend::Vrar {
        launch_everywhere(options.kernel.apic, Units::of(options)).map_err(RunError::Shim)?;
    }
    let models = match options.models {
        Models::Listed => ModelCheck::Listed,
        Models::Any => ModelCheck::Any,
    };
    let support = match backend {
        Backend::Software => None,
        Backend::Hardware | Backend::Vrar | Backend::Model => {
            Some(detect(models).map_err(|error| without_rar(backend, error))?)
        }
    };
    start(options.deadline, support).map_err(RunError::Lab)
}

/// Runs `here` on every CPU, and waits for the last one.
pub(crate) fn run_everywhere(here: fn(CpuId)) -> Result<(), RunError> {
    smp::run_on_all(here);
    if clock::wait_until(LAST_CPU_MILLISECONDS, smp::everyone_done) {
        Ok(())
    } else {
        Err(RunError::CpuMissing)
    }
}

fn without_rar(backend: Backend, error: SupportError) -> RunError {
    match error {
        SupportError::UnlistedModel { signature } => RunError::UnlistedModel(signature),
        // Asked without the driver's detection, which is under test.
        _ if backend == Backend::Vrar || enumerate().announces_rar() => RunError::Refused(error),
        _ => RunError::NoRar(error),
    }
}

fn run_here(_: CpuId) {
    if let (Some(lab), Some(options)) = (current(), SUITE_OPTIONS.get()) {
        match LATE.get().filter(|_| lab.shootdown.machine().has_units()) {
            Some(odd) => late_join::join(lab, odd.apic_id),
            None => lab.join(),
        }
        lab.run(options);
    }
}
