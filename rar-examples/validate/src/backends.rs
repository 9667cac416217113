//! The backends, one after the other.

use core::fmt;

use rar_kernel::unit::{LaterError, ModelCheck, SupportError};
use rar_kernel::{Once, clock, lab, println, smp, unit};
use rar_percpu::CpuId;
use rar_suite::List;
use rar_validate::{Backend, Options, Words};

use crate::progress;

/// How long CPUs may take to return from the suite after the first has.
const LAST_CPU_MILLISECONDS: u64 = 10_000;

/// Room for the reason why a backend did not run.
const WHY: usize = 160;

static SUITE_OPTIONS: Once<rar_suite::Options<'static>> = Once::new();

/// What came of a backend.
pub(crate) enum Outcome {
    /// Its suite ran to the end.
    Ran,
    /// It did not run, and the next one can.
    NotRun(Words<WHY>),
    /// The driver refuses units that the machine announces, and the next one can run.
    Refused(Words<WHY>),
    /// CPUs are where they should not be, and nothing can follow.
    Stuck(&'static str),
}

/// Runs the suite on one backend, on every CPU.
pub(crate) fn run(backend: Backend, options: &Options<'static>) -> Outcome {
    let _first = SUITE_OPTIONS.set(rar_suite::Options {
        test: options.test,
        list: List::All,
        storm_flushes: options.storm_flushes(smp::cpus().map_or(1, smp::Cpus::online)),
        initiators: options.initiators,
        risky: options.risky,
        measure: options.measure,
    });
    if backend == Backend::Vrar {
        let defect = options.defect.and_then(unit::Defect::by_name);
        if let Err(error) = unit::launch_everywhere(unit::GuestApic::X2apic, defect) {
            return match error {
                LaterError::Memory(_) | LaterError::Refused { .. } => {
                    not_run(format_args!("no shim: {error}"))
                }
                _ => {
                    println!("no shim: {error}");
                    Outcome::Stuck("some CPUs are guests of the shim and some are not")
                }
            };
        }
    }
    let support = match backend {
        Backend::Software => None,
        Backend::Hardware | Backend::Vrar => match unit::detect(models(options)) {
            Ok(support) => Some(support),
            Err(SupportError::UnlistedModel { signature }) => {
                return not_run(format_args!(
                    "{signature} sets the RAR bit, but no source lists it; the option models=any tries it"
                ));
            }
            // Asked without the driver's detection, which is under test.
            Err(error) if backend == Backend::Vrar || unit::enumerate().announces_rar() => {
                return Outcome::Refused(Words::of(format_args!("{error}")));
            }
            Err(error) => return not_run(format_args!("{error}")),
        },
    };
    if let Err(error) = lab::start(options.deadline, support) {
        return not_run(format_args!("no laboratory: {error}"));
    }
    lab::listen(progress::on_record);
    smp::run_on_all(on_each_cpu);
    if clock::wait_until(LAST_CPU_MILLISECONDS, smp::everyone_done) {
        Outcome::Ran
    } else {
        Outcome::Stuck("a CPU did not return from the suite")
    }
}

fn models(options: &Options<'_>) -> ModelCheck {
    if options.any_model {
        ModelCheck::Any
    } else {
        ModelCheck::Listed
    }
}

fn not_run(why: fmt::Arguments<'_>) -> Outcome {
    Outcome::NotRun(Words::of(why))
}

fn on_each_cpu(_: CpuId) {
    if let (Some(lab), Some(options)) = (lab::current(), SUITE_OPTIONS.get()) {
        lab.run(options);
    }
}
