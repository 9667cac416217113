//! The suite: what all CPUs share, and the loop that each of them runs.

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use rar_percpu::AtomicCpuSet;
use rar_shootdown::Statistics;
use rar_vocabulary::{Counts, Outcome, Text};

use crate::catalogue::{Test, catalogue};
use crate::failure::FirstFailure;
use crate::lab::{Lab, Offences, Space};
use crate::measure::{MEASUREMENTS, MOST_SAMPLES, Samples};
use crate::record::{Control, MAX_CPUS, Record};
use crate::test_info::{Rounds, TestInfo};
use crate::trial::Trial;
use crate::witness::Sent;

/// How the reason of a failure begins when every assertion of the test held, but a flush had to be made by other means than the
/// signal.
pub const BY_OTHER_MEANS: &str = "the signal path alone was to do it";

/// Room for the reason of an outcome, or for what was observed.
pub(crate) type Why = Text<480>;

/// How many flushes of each kind are measured if nobody says how many.
const FEW_SAMPLES: u32 = 200;

/// How often a run begins whose controls are not seen: a TLB may drop what it likes, and a host that is busy makes QEMU's small.
const ATTEMPTS: u32 = 3;

/// How many words tests have to talk to each other.
const WORDS: usize = 8;

/// Which tests to run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Only the tests of these names, separated by commas.
    pub test: Option<&'a str>,
    /// Which list.
    pub list: List,
    /// How many flushes each CPU makes in a storm.
    pub storm_flushes: u64,
    /// How many CPUs initiate each test at most: all if `None`. A quick run asks for few, and so does a machine of hundreds.
    pub initiators: Option<u32>,
    /// Whether to ask of units what may hang the machine or change its state for good, too.
    pub risky: bool,
    /// How many flushes of each kind to measure, up to [`MOST_SAMPLES`]: none if `None`, but a few if the measurements are named in `test`.
    pub measure: Option<u32>,
}

/// Which list of tests to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// All of them.
    All,
    /// The short list for CPUs that truly run at once.
    Race,
}

/// What the CPUs of a suite share. One value, for example in a `static`.
#[derive(Debug)]
pub struct Suite {
    pub(crate) arrived: AtomicU64,
    pub(crate) failure: FirstFailure,
    pub(crate) flushes: AtomicU64,
    pub(crate) first: AtomicCpuSet,
    pub(crate) second: AtomicCpuSet,
    pub(crate) chosen: AtomicCpuSet,
    /// For each CPU: a value that it publishes in the course of a test.
    pub(crate) published: [AtomicU64; MAX_CPUS],
    /// For each CPU: the last barrier that it came to.
    pub(crate) phases: [AtomicU64; MAX_CPUS],
    /// For each CPU: how often the driver had flushed its TLB when it cached what the test looks at.
    pub(crate) cached: [AtomicU64; MAX_CPUS],
    /// Words for the use of one test.
    pub(crate) words: [AtomicU64; WORDS],
    /// What the self-interrupt is to do.
    pub(crate) errand: AtomicU8,
    pub(crate) samples: Samples,
    /// Whether the run that ended showed nothing, and begins again.
    again: AtomicBool,
    /// Whether a CPU cannot take part in the run.
    obstacle: AtomicBool,
    controls: [ControlCell; MAX_CPUS],
    passed: AtomicU32,
    failed: AtomicU32,
    skipped: AtomicU32,
    observed: AtomicU32,
}

#[derive(Debug)]
struct ControlCell {
    taken: AtomicU8,
    stale: AtomicU64,
    new: AtomicU64,
}

impl Suite {
    /// Returns a suite that has not run.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            arrived: AtomicU64::new(0),
            failure: FirstFailure::new(),
            flushes: AtomicU64::new(0),
            first: AtomicCpuSet::new(),
            second: AtomicCpuSet::new(),
            chosen: AtomicCpuSet::new(),
            published: [const { AtomicU64::new(0) }; MAX_CPUS],
            phases: [const { AtomicU64::new(0) }; MAX_CPUS],
            cached: [const { AtomicU64::new(0) }; MAX_CPUS],
            words: [const { AtomicU64::new(0) }; WORDS],
            errand: AtomicU8::new(0),
            samples: Samples::new(),
            again: AtomicBool::new(false),
            obstacle: AtomicBool::new(false),
            controls: [const {
                ControlCell {
                    taken: AtomicU8::new(0),
                    stale: AtomicU64::new(0),
                    new: AtomicU64::new(0),
                }
            }; MAX_CPUS],
            passed: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            skipped: AtomicU32::new(0),
            observed: AtomicU32::new(0),
        }
    }

    /// Runs the chosen tests, each for every initiator; every CPU calls it once, and all return the same counts.
    ///
    /// The CPUs go through each test in step: every step of it is for some of them, and a barrier ends it. Each test passes if
    /// its assertions hold, its positive control was seen, and, but for the tests about them, no fallback and no second
    /// signal was needed. A test whose control was not seen has shown nothing and begins again, a few times; in the end it counts as
    /// skipped. A test that asks what no source answers ends with an observation in place of a pass.
    pub fn run<L: Lab>(&self, lab: &L, options: &Options<'_>) -> Counts {
        let chosen = || catalogue::<L>().filter(|test| options.chooses(test));
        let me = lab.pin().id().get();
        let mut phase = 0;
        let initiators = options.initiators_of(lab.cpus());
        if me == 0 {
            let tests = chosen().count();
            let runs: u32 = chosen().map(|test| test.rounds.count(initiators)).sum();
            let tests = u32::try_from(tests).unwrap_or(u32::MAX);
            lab.emit(&Record::Start {
                backend: lab.backend().name(),
                cpus: lab.cpus(),
                tests,
                runs,
                initiators,
            });
        }
        for test in chosen() {
            for initiator in 0..test.rounds.count(initiators) {
                for attempt in 1..=ATTEMPTS {
                    let trial = Trial::new(self, lab, &test, me, initiator, options, phase);
                    self.run_once(lab, &trial, &test, options, attempt);
                    phase = trial.phase();
                    if !self.again.load(Ordering::Acquire) {
                        break;
                    }
                }
            }
        }
        let load = |counter: &AtomicU32| counter.load(Ordering::Acquire);
        let (passed, failed) = (load(&self.passed), load(&self.failed));
        let (skipped, observed) = (load(&self.skipped), load(&self.observed));
        if me == 0 {
            lab.emit(&Record::End {
                passed,
                failed,
                skipped,
                observed,
            });
        }
        Counts {
            passed: passed as usize,
            failed: failed as usize,
            skipped: skipped as usize,
            observed: observed as usize,
        }
    }

    /// The handler of the self-interrupt calls it on the interrupted CPU.
    pub fn on_interrupt<L: Lab>(&self, lab: &L) {
        crate::tests::nested::on_interrupt(self, lab);
    }

    pub(crate) fn set(&self, space: Space) -> &AtomicCpuSet {
        match space {
            Space::First => &self.first,
            Space::Second => &self.second,
        }
    }

    /// Keeps what a target saw before the flush; the first one counts.
    pub(crate) fn control(&self, cpu: u32, stale: u64, new: u64) {
        let Some(cell) = self.controls.get(cpu as usize) else {
            return;
        };
        if cell.taken.load(Ordering::Relaxed) == 0 {
            cell.stale.store(stale, Ordering::Relaxed);
            cell.new.store(new, Ordering::Relaxed);
            cell.taken.store(1, Ordering::Release);
        }
    }

    fn run_once<L: Lab>(
        &self,
        lab: &L,
        trial: &Trial<'_, L>,
        test: &Test<L>,
        options: &Options<'_>,
        attempt: u32,
    ) {
        let mut obstacle = Text::new();
        // What does not fit is cut off.
        let _ = test.write_obstacle(lab, options, &mut obstacle);
        if trial.is_initiator() {
            let initiator = trial.initiator;
            lab.emit(&Record::Begin {
                name: test.name,
                initiator,
            });
        }
        // What one CPU lacks none can run: all take part in every barrier.
        if !obstacle.as_str().is_empty() {
            self.obstacle.store(true, Ordering::Release);
        }
        trial.settle();
        let before = Before {
            statistics: lab.shootdown().statistics(),
            sent: lab.witness().sent(),
            offences: lab.offences(),
        };
        trial.barrier();
        if !self.obstacle.load(Ordering::Acquire) {
            (test.run)(trial);
        }
        trial.barrier();
        if trial.me == trial.initiator {
            let idle = self.failure.shows_nothing() && self.is_clean(lab, test, &before);
            let again = idle && attempt < ATTEMPTS && test.name != MEASUREMENTS;
            self.again.store(again, Ordering::Release);
            if again {
                self.tell_again(lab, trial);
            } else {
                if obstacle.as_str().is_empty() && self.obstacle.load(Ordering::Acquire) {
                    let _ = obstacle.write_str("another CPU cannot run it");
                } else if idle {
                    let _ = write!(
                        obstacle,
                        "nothing was shown, though tried {attempt} times: {}",
                        self.failure
                    );
                }
                self.obstacle.store(false, Ordering::Release);
                self.judge(lab, trial, test, obstacle, &before);
            }
        }
        trial.barrier();
    }

    /// Forgets an attempt that showed nothing.
    fn tell_again<L: Lab>(&self, lab: &L, trial: &Trial<'_, L>) {
        let mut why = Why::new();
        let _ = write!(why, "{}", self.failure);
        lab.emit(&Record::Again {
            name: trial.name,
            initiator: trial.initiator,
            why: why.as_str(),
        });
        for cell in &self.controls {
            cell.taken.store(0, Ordering::Release);
        }
        self.flushes.store(0, Ordering::Release);
        self.failure.clear();
    }

    fn judge<L: Lab>(
        &self,
        lab: &L,
        trial: &Trial<'_, L>,
        test: &Test<L>,
        obstacle: Why,
        before: &Before,
    ) {
        let after = lab.shootdown().statistics();
        let offences = lab.offences();
        let seen = before.offences.count;
        let others = self.other_means(lab, test, before);
        let before = &before.statistics;
        let fallbacks = after.fallbacks.abs_diff(before.fallbacks);
        let resignals = after.resignals.abs_diff(before.resignals);
        let mut controls = [Control::default(); MAX_LISTED];
        let mut listed = 0;
        for (cell, cpu) in self.controls.iter().zip(0..) {
            let taken = cell.taken.swap(0, Ordering::AcqRel) != 0;
            if let Some(control) = controls.get_mut(listed).filter(|_| taken) {
                let (stale, new) = (
                    cell.stale.load(Ordering::Relaxed),
                    cell.new.load(Ordering::Relaxed),
                );
                *control = Control { cpu, stale, new };
                listed += 1;
            }
        }
        let controls = controls.get(..listed).unwrap_or_default();

        let mut why = obstacle;
        let observation = trial.take_observation();
        let outcome = if !why.as_str().is_empty() {
            Outcome::Skipped
        } else if self.failure.is_set() {
            let _ = write!(why, "{}", self.failure);
            Outcome::Fail
        } else if let Some(cpu) = missing_control(controls, trial.initiator, lab.cpus()) {
            let _ = write!(why, "CPU {cpu} took no positive control");
            Outcome::Fail
        // A test below the driver asks of units what it likes.
        } else if test.units.is_none() && offences.count != seen {
            let _ = write!(
                why,
                "the driver asks of a RAR unit only what it must bear: {}",
                offences.what
            );
            Outcome::Fail
        } else if took_part(&others) {
            let _ = write!(why, "{BY_OTHER_MEANS}:");
            for (name, count) in others.iter().filter(|(_, count)| *count > 0) {
                let _ = write!(why, " {count} {name},");
            }
            Outcome::Fail
        } else if !observation.as_str().is_empty() {
            why = observation;
            Outcome::Observed
        } else {
            Outcome::Pass
        };
        let counter = match outcome {
            Outcome::Pass => &self.passed,
            Outcome::Fail => &self.failed,
            Outcome::Skipped => &self.skipped,
            Outcome::Observed => &self.observed,
        };
        counter.fetch_add(1, Ordering::AcqRel);
        lab.emit(&Record::Test {
            name: test.name,
            question: test.question,
            backend: lab.backend().name(),
            cpus: lab.cpus(),
            initiator: trial.initiator,
            flushes: self.flushes.swap(0, Ordering::AcqRel),
            controls,
            fallbacks,
            resignals,
            outcome,
            why: why.as_str(),
        });
        self.failure.clear();
    }

    /// Returns whether the signal path did all the work since then, and nothing of units that they need not bear.
    fn is_clean<L: Lab>(&self, lab: &L, test: &Test<L>, before: &Before) -> bool {
        !took_part(&self.other_means(lab, test, before))
            && (test.units.is_some() || lab.offences().count == before.offences.count)
    }

    /// Returns how often something else than one signal for each flush took part since then: what the driver counts, and what the
    /// machine saw, since a driver may forget to count. Nothing in a test that makes the rare happen.
    fn other_means<L: Lab>(
        &self,
        lab: &L,
        test: &Test<L>,
        before: &Before,
    ) -> [(&'static str, u64); RARE + 2] {
        let sent = lab.witness().sent().since(before.sent);
        // A test below the driver signals as it likes.
        let flushes = match test.units {
            Some(_) => u64::MAX,
            None => self.flushes.load(Ordering::Acquire),
        };
        let counted = rare(&lab.shootdown().statistics());
        let mut counted = counted.into_iter().zip(rare(&before.statistics));
        core::array::from_fn(|number| {
            let (name, count) = match (counted.next(), number) {
                (Some(((name, after), (_, before))), _) => (name, after.abs_diff(before)),
                (None, RARE) => ("ordinary interrupts seen by the machine", sent.interrupts),
                (None, _) => (
                    "signals more than flushes",
                    sent.signals.saturating_sub(flushes),
                ),
            };
            (name, if test.rare.is_some() { 0 } else { count })
        })
    }
}

/// Returns whether anything was counted.
fn took_part(others: &[(&str, u64)]) -> bool {
    others.iter().any(|(_, count)| *count > 0)
}

/// What is compared after a test.
struct Before {
    statistics: Statistics,
    sent: Sent,
    offences: Offences,
}

/// How many targets a record lists; enough to judge, few enough for a line.
const MAX_LISTED: usize = 64;

/// How many counters [`rare`] returns.
const RARE: usize = 8;

/// The counters that stay where they are while the signal path works.
pub(crate) fn rare(statistics: &Statistics) -> [(&'static str, u64); RARE] {
    let Statistics {
        fallbacks,
        resignals,
        nmis,
        failures,
        slotless,
        by_generation,
        unsent,
        errors,
        ..
    } = *statistics;
    [
        ("fallbacks", fallbacks),
        ("second signals", resignals),
        ("NMIs", nmis),
        ("FAILURE bytes", failures),
        ("flushes without a slot", slotless),
        ("flushes by generation", by_generation),
        ("messages not sent", unsent),
        ("errors", errors),
    ]
}

/// The first CPU that should have shown the stale state and has not: every CPU but the initiator, or the one there is.
fn missing_control(controls: &[Control], initiator: u32, cpus: u32) -> Option<u32> {
    let listed = u32::try_from(MAX_LISTED).unwrap_or(u32::MAX);
    (0..cpus.min(listed))
        .filter(|cpu| *cpu != initiator || cpus == 1)
        .find(|cpu| !controls.iter().any(|control| control.cpu == *cpu))
}

impl Options<'_> {
    /// Every test that harms nothing, with each CPU as initiator, and a storm of middling length.
    pub const ALL: Self = Self {
        test: None,
        list: List::All,
        storm_flushes: 20_000,
        initiators: None,
        risky: false,
        measure: None,
    };

    /// How many of so many CPUs initiate each test.
    fn initiators_of(&self, cpus: u32) -> u32 {
        self.initiators.map_or(cpus, |most| most.clamp(1, cpus))
    }

    fn chooses(&self, test: &TestInfo) -> bool {
        let names = |names: &str| names.split(',').any(|name| name == test.name);
        if test.name == MEASUREMENTS {
            return self.measure.is_some() || self.test.is_some_and(names);
        }
        match self.test {
            Some(list) => names(list),
            None => self.list == List::All || test.race,
        }
    }

    /// How many flushes of each kind are measured.
    pub(crate) fn samples(&self) -> u32 {
        self.measure.unwrap_or(FEW_SAMPLES).clamp(1, MOST_SAMPLES)
    }
}

impl Rounds {
    fn count(self, initiators: u32) -> u32 {
        match self {
            Self::EachInitiator => initiators,
            Self::Once => 1,
        }
    }
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}
