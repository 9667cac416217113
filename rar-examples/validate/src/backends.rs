//! The backends, one after the other.

use rar_kernel::{KernelLab, Once, clock, lab, println, smp, unit};
use rar_percpu::CpuId;
use rar_suite::{List, Suite};
use rar_validate::{Backend, Options};

use crate::progress;

/// How long CPUs may take to return from the suite after the first has.
const LAST_CPU_MILLISECONDS: u64 = 10_000;

static SUITE: Suite = Suite::new();
static JOB: Once<Job> = Once::new();

struct Job {
    lab: &'static KernelLab,
    options: rar_suite::Options<'static>,
}

/// What came of a backend.
pub(crate) enum Outcome {
    /// Its suite ran to the end.
    Ran,
    /// It did not run.
    NotRun(&'static str),
}

/// Runs the suite on one backend, on every CPU.
pub(crate) fn run(backend: Backend, options: &Options<'static>) -> Outcome {
    let support = match backend {
        Backend::Software => None,
        Backend::Hardware => match unit::detect() {
            Ok(support) => Some(support),
            Err(error) => {
                println!("no RAR: {error}");
                return Outcome::NotRun("the processor has no RAR");
            }
        },
        Backend::Vrar => return Outcome::NotRun("the shim was not started"),
    };
    let lab = match lab::start(&SUITE, options.deadline, support) {
        Ok(lab) => lab,
        Err(error) => {
            println!("no laboratory: {error}");
            return Outcome::NotRun("there is no laboratory for it");
        }
    };
    lab::listen(progress::on_record);
    let options = rar_suite::Options {
        test: options.test,
        list: List::All,
        storm_flushes: options.flushes,
    };
    let _first = JOB.set(Job { lab, options });
    smp::run_on_all(on_each_cpu);
    if clock::wait_until(LAST_CPU_MILLISECONDS, smp::everyone_done) {
        Outcome::Ran
    } else {
        Outcome::NotRun("a CPU did not return from the suite")
    }
}

fn on_each_cpu(_: CpuId) {
    if let Some(job) = JOB.get() {
        job.lab.join();
        SUITE.run(job.lab, &job.options);
    }
}

/// Prints what the boot CPU says of RAR.
pub(crate) fn enumerate() {
    match unit::detect() {
        Ok(support) => println!("RAR: {support:?}"),
        Err(error) => println!("no RAR: {error}"),
    }
}
