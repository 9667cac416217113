//! Runs histories until a number of steps is made. A failing history is shrunk.

use std::time::{Duration, Instant};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde::Serialize;

use super::episode::{Ending, Episode, Scheduler};
use super::op::{History, Op};
use super::oracle::{Tally, Violation};
use super::paths::Paths;

/// How many orders of the CPUs a shorter history must pass: on few CPUs, and on many.
const ORDERS: [u64; 2] = [60, 6];
const FEW: u32 = 8;
/// Operations of a history, for each CPU, and at least.
const OPS_PER_CPU: usize = 6;
const LEAST_OPS: usize = 120;

/// Many histories of one kind of machine.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The machine.
    pub episode: Episode,
    /// The seed of the first history; the others follow from it.
    pub seed: u64,
    /// How many steps to make in total; with threads, which make no steps, how many accesses to
    /// judge.
    pub steps: u64,
    /// How long a failing history is shrunk.
    pub shrink: Duration,
}

/// Everything that a campaign counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Summary {
    /// Histories that were run.
    pub histories: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Flushes.
    pub flushes: u64,
    /// Flushes that returned an error.
    pub errors: u64,
    /// Operations of each kind, in the order of `Op`.
    pub kinds: [u64; Op::KINDS],
    /// Operations that were skipped because a lock was taken or a page was missing.
    pub skipped: u64,
    /// Which paths the driver took.
    pub paths: Paths,
    /// What the oracle saw.
    pub tally: Tally,
    /// Cache lines that moved.
    pub transfers: u64,
}

/// Why a campaign ended early.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The seed of the history in which it was found.
    pub seed: u64,
    /// The problem.
    pub what: Problem,
    /// The shortest failing history found.
    pub minimal: History,
    /// The problem of that history.
    pub minimal_what: Problem,
}

/// Why a history failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Problem {
    /// A stale translation was used.
    Stale(Violation),
    /// It did not end.
    Hang {
        /// After how many steps it was stopped.
        steps: u64,
    },
    /// A flush used other means than the signal.
    Fallback {
        /// CPUs that received a fallback.
        fallbacks: u64,
        /// FAILURE bytes.
        failures: u64,
        /// Flushes that returned an error.
        errors: u64,
    },
    /// Flushes never ended although every CPU serves.
    Stuck(u64),
    /// Slots were lost: they are neither free nor waiting for a CPU.
    LostSlots(u64),
    /// The driver sent more second signals than flushes.
    Storm(u64),
    /// A unit accessed memory outside the driver's.
    Strays(u64),
    /// The machine did not come up.
    BringUp(String),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stale(violation) => write!(f, "{violation}"),
            Self::Hang { steps } => write!(f, "no end after {steps} steps"),
            Self::Fallback {
                fallbacks,
                failures,
                errors,
            } => write!(
                f,
                "{fallbacks} CPUs received a fallback, {failures} FAILURE bytes, {errors} \
                 errors, on a machine that answers"
            ),
            Self::Stuck(count) => {
                write!(f, "{count} flushes never ended although every CPU serves")
            }
            Self::LostSlots(count) => {
                write!(f, "{count} slots are neither free nor waiting for a CPU")
            }
            Self::Storm(count) => write!(f, "{count} second signals, more than flushes"),
            Self::Strays(count) => write!(f, "a unit left the driver's memory {count} times"),
            Self::BringUp(why) => write!(f, "the machine cannot be brought up: {why}"),
        }
    }
}

impl Campaign {
    /// Runs until the steps are made or a history fails. Calls `progress` with the steps made so
    /// far.
    ///
    /// # Errors
    ///
    /// The finding, and the counts until then.
    pub fn run(&self, progress: &mut dyn FnMut(u64)) -> Result<Summary, Box<(Finding, Summary)>> {
        let mut summary = Summary::default();
        for number in 0.. {
            let seed = self.seed_of(number);
            let mut runner = runner(seed);
            let ops = (self.episode.cpus as usize * OPS_PER_CPU).max(LEAST_OPS);
            let extra = self.episode.conditions(seed).extra();
            let strategy = History::any(self.episode.cpus, ops, seed, extra);
            let Ok(tree) = strategy.new_tree(&mut runner) else {
                unreachable!("no history is filtered out")
            };
            let ended = self.episode.run(&tree.current());
            if let Ok(ending) = &ended {
                summary.add(ending);
            }
            if let Some(what) = problem(&ended) {
                let started = Instant::now();
                let shrunk = runner.run_one(tree, |history| {
                    if started.elapsed() > self.shrink {
                        return Ok(());
                    }
                    match self.fails(&history) {
                        Some(_) => Err(TestCaseError::fail("it fails")),
                        None => Ok(()),
                    }
                });
                let minimal = match shrunk {
                    Err(TestError::Fail(_, minimal)) => minimal,
                    _ => strategy
                        .new_tree(&mut TestRunner::deterministic())
                        .map_or_else(
                            |_| unreachable!("no history is filtered out"),
                            |tree| tree.current(),
                        ),
                };
                let (seed_of_minimal, minimal_what) =
                    self.fails(&minimal).unwrap_or((seed, what.clone()));
                let minimal = History {
                    seed: seed_of_minimal,
                    ..minimal
                };
                return Err(Box::new((
                    Finding {
                        seed,
                        what,
                        minimal,
                        minimal_what,
                    },
                    summary,
                )));
            }
            let done = match self.episode.scheduler {
                Scheduler::Deterministic => summary.steps,
                Scheduler::Threads => summary.tally.accesses,
            };
            progress(done);
            if done >= self.steps {
                break;
            }
        }
        Ok(summary)
    }

    /// Tries a history with several orders of the CPUs. Returns the first that fails.
    fn fails(&self, history: &History) -> Option<(u64, Problem)> {
        let [few, many] = ORDERS;
        let orders = if self.episode.cpus <= FEW { few } else { many };
        // Operations of hard conditions prove nothing under ample ones, nor do walks that are never
        // suspended.
        let extra = |seed| self.episode.conditions(seed).extra();
        let seeds = (0..orders).map(|order| history.seed.wrapping_add(order));
        let mut alike = seeds.filter(|seed| extra(*seed) == extra(history.seed));
        alike.find_map(|seed| {
            let tried = History {
                seed,
                ops: history.ops.clone(),
            };
            problem(&self.episode.run(&tried)).map(|what| (seed, what))
        })
    }

    /// The first history has the seed of the campaign itself, so that each can be run alone.
    const fn seed_of(&self, number: u64) -> u64 {
        self.seed
            .wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// Returns the problem of an ending, if it has one.
#[must_use]
pub fn problem(ended: &Result<Ending, String>) -> Option<Problem> {
    match ended {
        Err(why) => Some(Problem::BringUp(why.clone())),
        Ok(Ending {
            violation: Some(violation),
            ..
        }) => Some(Problem::Stale(violation.clone())),
        Ok(ending) if !ending.complete => Some(Problem::Hang {
            steps: ending.steps,
        }),
        Ok(ending) if ending.needed_help() => Some(Problem::Fallback {
            fallbacks: ending.helped(),
            failures: ending.statistics.failures,
            errors: ending.errors,
        }),
        Ok(ending) if ending.stuck > 0 => Some(Problem::Stuck(ending.stuck)),
        Ok(ending) if ending.lost_slots > 0 => Some(Problem::LostSlots(ending.lost_slots)),
        Ok(ending) if ending.paths.resignals > ending.flushes => {
            Some(Problem::Storm(ending.paths.resignals))
        }
        Ok(ending) if ending.strays > 0 => Some(Problem::Strays(ending.strays)),
        Ok(_) => None,
    }
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    for (byte, value) in bytes.iter_mut().zip(seed.to_le_bytes()) {
        *byte = value;
    }
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: u32::MAX,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

impl Summary {
    /// Adds the counts of one history.
    fn add(&mut self, ending: &Ending) {
        let Tally {
            accesses,
            stale_uses,
            walks,
            dropped,
            needless,
            freed,
        } = ending.tally;
        self.histories += 1;
        self.steps += ending.steps;
        self.flushes += ending.flushes;
        self.errors += ending.errors;
        for (sum, done) in self.kinds.iter_mut().zip(ending.kinds) {
            *sum += done;
        }
        self.skipped += ending.skipped;
        self.paths.add(&ending.paths);
        self.transfers += ending.transfers;
        self.tally.accesses += accesses;
        self.tally.stale_uses += stale_uses;
        self.tally.walks += walks;
        self.tally.dropped += dropped;
        self.tally.needless += needless;
        self.tally.freed += freed;
    }
}
