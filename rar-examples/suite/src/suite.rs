//! The suite: the loop over all tests that every CPU runs.

use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering};

use rar_vocabulary::{Counts, Disturbances};

use crate::catalogue::{Test, catalogue};
use crate::judge::{Before, is_clean, judge, spoiled};
use crate::options::{MEASUREMENTS, Options};
use crate::platform::Platform;
use crate::record::Record;
use crate::shared::Shared;
use crate::test_run::{Seat, TestRun};
use crate::why::Why;

/// How many attempts a run without a positive control has: a TLB may evict at any time, and a busy
/// host makes QEMU's small.
const ATTEMPTS: u32 = 3;

/// What the CPUs of a suite share. One value, for example in a `static`.
#[derive(Debug)]
pub struct Suite {
    shared: Shared,
}

impl Suite {
    /// Returns a suite that has not run.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            shared: Shared::new(),
        }
    }

    /// Runs the chosen tests, each for every initiator. Every CPU calls it once, and all return the
    /// same counts.
    ///
    /// The CPUs go through each test in step: each step is for some of them, and a barrier ends it.
    /// A test passes if its assertions hold, its positive control was seen, and, except in the
    /// tests about them, no fallback and no second signal was needed. A test without a positive
    /// control has shown nothing: it is retried, and after a few attempts it counts as skipped. So
    /// does one that fails while interrupts come that no code asked for, or while a CPU loses so
    /// much time that it answers late, unless neither can break what failed. A test of a question
    /// that no source answers ends with an observation instead of a pass.
    pub fn run<L: Platform>(&self, platform: &L, options: &Options<'_>) -> Counts {
        let shared = &self.shared;
        let chosen = || catalogue::<L>().filter(|test| options.choose(test.name, test.list()));
        let me = platform.pin().id().get();
        let mut phase = 0;
        let initiators = options.initiators_of(platform.cpus());
        if me == 0 {
            let tests = chosen().count();
            let runs: u32 = chosen().map(|test| test.rounds.count(initiators)).sum();
            let tests = u32::try_from(tests).unwrap_or(u32::MAX);
            platform.emit(&Record::Start {
                backend: platform.backend().name(),
                cpus: platform.cpus(),
                tests,
                runs,
                initiators,
            });
        }
        for test in chosen() {
            for initiator in 0..test.rounds.count(initiators) {
                for attempt in 1..=ATTEMPTS {
                    let seat = Seat {
                        test: test.name,
                        subject: test.subject(),
                        me,
                        initiator,
                    };
                    let run = TestRun::new(shared, platform, seat, options, phase);
                    run_once(&run, &test, options, attempt);
                    phase = run.phase();
                    if !shared.again.load(Ordering::Acquire) {
                        break;
                    }
                }
            }
        }
        let load = |counter: &AtomicU32| counter.load(Ordering::Acquire);
        let (passed, failed) = (load(&shared.passed), load(&shared.failed));
        let (skipped, observed) = (load(&shared.skipped), load(&shared.observed));
        if me == 0 {
            platform.emit(&Record::End {
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

    /// Does the test's part of the self-interrupt. Its handler calls this on the interrupted CPU.
    pub fn on_interrupt<L: Platform>(&self, platform: &L) {
        crate::tests::nested::on_interrupt(&self.shared, platform);
    }
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}

fn run_once<L: Platform>(
    run: &TestRun<'_, L>,
    test: &Test<L>,
    options: &Options<'_>,
    attempt: u32,
) {
    let (platform, shared) = (run.platform, run.shared);
    let mut obstacle = Why::new();
    // What does not fit is cut off.
    let _ = test.write_obstacle(platform, options, &mut obstacle);
    if run.is_initiator() {
        let initiator = run.initiator;
        platform.emit(&Record::Begin {
            name: test.name,
            initiator,
        });
    }
    // An obstacle on one CPU is one for all: every CPU takes part in every barrier.
    if !obstacle.as_str().is_empty() {
        shared.obstacle.store(true, Ordering::Release);
    }
    run.settle();
    let before = Before::take(run);
    run.barrier();
    if !shared.obstacle.load(Ordering::Acquire) {
        (test.run)(run);
    }
    run.barrier();
    if run.is_initiator() {
        let idle = shared.failure.shows_nothing() && is_clean(run, test, &before);
        let spoiled = match shared.obstacle.load(Ordering::Acquire) {
            true => None,
            false => spoiled(run, test, &before),
        };
        let in_vain = idle || spoiled.is_some();
        let again = in_vain && attempt < ATTEMPTS && test.name != MEASUREMENTS;
        shared.again.store(again, Ordering::Release);
        if again {
            forget_attempt(run, spoiled);
        } else {
            if obstacle.as_str().is_empty() && shared.obstacle.load(Ordering::Acquire) {
                let _ = obstacle.write_str("another CPU cannot run it");
            } else if !obstacle.as_str().is_empty() {
                // It did not run.
            } else if let Some(came) = spoiled {
                let _ = write_disturbed(run, &came, &mut obstacle);
            } else if idle {
                let _ = write!(
                    obstacle,
                    "nothing was shown, though tried {attempt} times: {}",
                    shared.failure
                );
            }
            shared.obstacle.store(false, Ordering::Release);
            judge(run, test, obstacle, &before);
        }
    }
    run.barrier();
}

/// Says that what came from outside may have broken what the test asserts.
fn write_disturbed<L: Platform>(
    run: &TestRun<'_, L>,
    came: &Disturbances,
    why: &mut Why,
) -> core::fmt::Result {
    let failure = &run.shared.failure;
    write!(why, "disturbed by {came}")?;
    match failure.is_set() {
        true => write!(why, ": {failure}"),
        false => why.write_str(": a flush took other means than the signal"),
    }
}

/// Forgets an attempt that showed nothing, or that was disturbed.
fn forget_attempt<L: Platform>(run: &TestRun<'_, L>, spoiled: Option<Disturbances>) {
    let shared = run.shared;
    let mut why = Why::new();
    let _ = match spoiled {
        None => write!(why, "{}", shared.failure),
        Some(came) => write_disturbed(run, &came, &mut why),
    };
    run.platform.emit(&Record::Retry {
        name: run.name,
        initiator: run.initiator,
        why: why.as_str(),
    });
    shared.controls.clear();
    shared.flushes.store(0, Ordering::Release);
    shared.failure.clear();
}
