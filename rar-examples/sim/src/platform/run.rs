//! A run of the suite on its own machine.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rar_shootdown::Shootdown;
use rar_suite::{Disturbances, Measurement, Options, Outcome, Record, Suite};

use super::{Boundary, GivenUp, STEPS, SimPlatform, Trouble};
use crate::defects::DriverDefect;
use crate::machine::{Machine, MachineConfig, Unwatched, lock};
use crate::schedule::End;

/// What to run.
#[derive(Clone, Debug)]
pub struct SuiteRun<'a> {
    /// The machine.
    pub config: MachineConfig,
    /// The driver's defect.
    pub defect: Option<DriverDefect>,
    /// The order in which CPUs run.
    pub seed: u64,
    /// Which tests.
    pub options: Options<'a>,
    /// What else happens.
    pub trouble: Trouble,
    /// A run that is longer has hung.
    pub most_steps: u64,
    /// Whether the first failure ends the run.
    pub until_failure: bool,
}

/// How one test ended for one initiator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The test.
    pub name: String,
    /// The initiator.
    pub initiator: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not pass, or what it observed; empty if it passed.
    pub why: String,
    /// What came from outside meanwhile.
    pub disturbances: Disturbances,
}

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Every test that ended, for each initiator.
    pub tests: Vec<Ended>,
    /// How often a test was retried, since a control was not seen.
    pub again: u32,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// Why the run did not end, unless it was stopped.
    pub broken_off: Option<String>,
}

impl SuiteRun<'_> {
    /// Runs the tests. The same run gives the same transcript.
    #[must_use]
    pub fn run(&self) -> Transcript {
        let (tests, measurements) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let again = AtomicU32::new(0);
        let run = || self.run_into(&tests, &again, &measurements);
        let broken_off = catch_unwind(AssertUnwindSafe(run));
        Transcript {
            tests: tests.into_inner().unwrap_or_default(),
            again: again.into_inner(),
            measurements: measurements.into_inner().unwrap_or_default(),
            broken_off: broken_off.unwrap_or_else(|panic| Some(reason_of(&*panic))),
        }
    }

    fn run_into(
        &self,
        tests: &Mutex<Vec<Ended>>,
        again: &AtomicU32,
        measurements: &Mutex<Vec<Measurement>>,
    ) -> Option<String> {
        let failed = AtomicBool::new(false);
        let emit = |record: &Record<'_>| {
            if let Record::Measurement(measurement) = record {
                lock(measurements).push(**measurement);
            }
            if let Record::Retry { .. } = record {
                again.fetch_add(1, Ordering::Relaxed);
            }
            let Record::Test {
                name,
                initiator,
                outcome,
                why,
                disturbances,
                ..
            } = record
            else {
                return;
            };
            failed.fetch_or(*outcome == Outcome::Fail, Ordering::AcqRel);
            lock(tests).push(Ended {
                name: (*name).to_owned(),
                initiator: *initiator,
                outcome: *outcome,
                why: (*why).to_owned(),
                disturbances: *disturbances,
            });
        };
        let machine = Machine::new(&Unwatched, self.config.clone());
        let boundary = Boundary::with_defect(&machine, self.defect);
        let shootdown = Shootdown::new(&boundary, STEPS);
        if let Err(error) = machine.register_cpus(shootdown.domain()) {
            return Some(error.to_string());
        }
        let support = match machine.detect() {
            Ok(support) => support,
            Err(error) => return Some(error.to_string()),
        };
        let suite = Suite::new();
        let platform: SimPlatform<'_> =
            SimPlatform::new(&suite, &boundary, support, &shootdown, &emit).with(self.trouble);
        let enough = || self.until_failure && failed.load(Ordering::Acquire);
        let end = machine.run(
            self.seed,
            &|_| {
                platform.join();
                suite.run(&platform, &self.options);
            },
            &mut |steps| steps < self.most_steps && !enough(),
        );
        match end {
            End::Stopped(steps) if !enough() => Some(format!("no end after {steps} steps")),
            End::Stopped(_) | End::Complete(_) => None,
        }
    }
}

/// Returns the message of the panic that ended a run.
pub(crate) fn reason_of(panic: &(dyn Any + Send)) -> String {
    if let Some(GivenUp(why)) = panic.downcast_ref() {
        return why.clone();
    }
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("of an unknown kind"))
}
