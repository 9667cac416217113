//! The soak on a simulated machine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use rar_shootdown::{Policy, Shootdown};
use rar_soak::{Life, Limit, SoakOptions, Verdict};
use rar_suite::{Record, Suite};
use rar_vocabulary::Soak;

use crate::defects::Defect;
use crate::machine::{Answering, Machine, MachineConfig, Unwatched, lock, steps};
use crate::platform::{Boundary, STEPS, SimPlatform, Trouble, config, reason_of};
use crate::schedule::End;

/// One of how many flushes meets a fault that takes as long as a timeout.
const FAULT_EVERY: u32 = 40;
/// One of how many flushes begins with a CPU that goes offline.
const OFFLINE_EVERY: u32 = 40;
/// A history that is longer has hung: steps for each flush and CPU.
const MOST_STEPS: u64 = 20_000;

/// In a storm each CPU executes the entries of all others, and is suspended before each access to
/// memory: an answer may take some thousand steps.
const POLICY: Policy = {
    let mut policy = STEPS;
    policy.answer_timeout = steps(20_000);
    policy.slot_timeout = steps(20_000);
    policy.fallback_timeout = steps(40_000);
    policy
};

/// A soak on a simulated machine: the same value gives the same run.
#[derive(Clone, Debug)]
pub struct SoakRun {
    /// The machine.
    pub config: MachineConfig,
    /// What is broken.
    pub defect: Option<Defect>,
    /// The seed of the soak, and of the order in which CPUs run.
    pub seed: u64,
    /// How many flushes it makes.
    pub flushes: u64,
    /// What else happens.
    pub trouble: Trouble,
}

/// How a soak ended.
#[derive(Clone, Debug)]
pub struct SoakEnd {
    /// What was counted.
    pub counts: Soak,
    /// What went wrong, if anything did.
    pub failure: Option<String>,
    /// Whether a stale translation was used.
    pub is_stale: bool,
}

impl SoakRun {
    /// Returns a soak on an honest machine.
    #[must_use]
    pub fn new(cpus: u32, backend: Answering, seed: u64, flushes: u64) -> Self {
        Self {
            config: MachineConfig {
                backend,
                seed,
                ..config(cpus)
            },
            defect: None,
            seed,
            flushes,
            trouble: Trouble::NONE,
        }
    }

    /// Returns the same soak on units, or with a driver, that have a defect.
    #[must_use]
    pub fn with_defect(self, defect: Defect) -> Self {
        let config = MachineConfig {
            knobs: defect.machine().knobs,
            ..self.config
        };
        Self {
            config,
            defect: Some(defect),
            ..self
        }
    }

    /// Runs it.
    #[must_use]
    pub fn run(&self) -> SoakEnd {
        let verdict = Mutex::new(None);
        let newest = Mutex::new(Soak::default());
        let run = || self.run_into(&verdict, &newest);
        let broken_off = catch_unwind(AssertUnwindSafe(run));
        let broken_off = broken_off.unwrap_or_else(|panic| Some(reason_of(&*panic)));
        let verdict = verdict.into_inner().unwrap_or_default();
        let failure = verdict.and_then(|verdict: Verdict| verdict.failure);
        SoakEnd {
            counts: match verdict {
                Some(verdict) => verdict.counts,
                None => newest.into_inner().unwrap_or_default(),
            },
            failure: failure.map(|failure| failure.to_string()).or(broken_off),
            is_stale: failure.is_some_and(|failure| failure.is_stale()),
        }
    }

    /// Returns why the soak did not come to its end.
    fn run_into(&self, verdict: &Mutex<Option<Verdict>>, newest: &Mutex<Soak>) -> Option<String> {
        let emit = |record: &Record<'_>| {
            if let Record::Soak(counts) = record {
                *lock(newest) = **counts;
            }
        };
        let machine = Machine::new(&Unwatched, self.config.clone());
        let driver_defect = self.defect.and_then(Defect::of_driver);
        let boundary = Boundary::with_defect(&machine, driver_defect);
        let shootdown = Shootdown::new(&boundary, POLICY);
        if let Err(error) = machine.register_cpus(shootdown.domain()) {
            return Some(error.to_string());
        }
        let support = match machine.detect() {
            Ok(support) => support,
            Err(error) => return Some(error.to_string()),
        };
        let (suite, life) = (Box::new(Suite::new()), Box::new(Life::new()));
        let platform: SimPlatform<'_> =
            SimPlatform::new(&suite, &boundary, support, &shootdown, &emit).with(self.trouble);
        let options = SoakOptions {
            seed: self.seed,
            limit: Limit::Flushes(self.flushes),
            fault_every: FAULT_EVERY,
            offline_every: OFFLINE_EVERY,
        };
        let most = (self.flushes + 1_000) * u64::from(self.config.cpus) * MOST_STEPS;
        let end = machine.run(
            self.seed,
            &|_| {
                platform.join();
                *lock(verdict) = Some(life.run(&platform, &options));
            },
            &mut |steps| steps < most,
        );
        match end {
            End::Stopped(steps) => Some(format!("hang: no end after {steps} steps")),
            End::Complete(_) => None,
        }
    }
}
