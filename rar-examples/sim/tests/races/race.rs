//! One race: a script for 8 CPUs, run under many seeds and watched at every step.

use std::ops::ControlFlow;

use rar_model::{Faults, Knobs};
use rar_shootdown::Statistics;
use rar_sim::history::{Episode, History, Op, Slot, problem};

use crate::observer::{CPUS, Observer, Sight};

/// The seeds of a race: fewer without `--cfg rar_observed`, where CPUs are suspended at fewer
/// places and the build is not optimised.
const SEEDS: u64 = if cfg!(rar_observed) { 200 } else { 5 };

/// Asserts that an interleaving was met, and with `--cfg rar_observed` that 200 seeds met it
/// `expected` times, about a third of what they do today. A race that meets less than that has
/// got weaker: a mutant that needs one step of many would pass.
///
/// # Panics
///
/// If it was met less often.
#[track_caller]
pub(crate) fn at_least(seen: u64, expected: u64, what: &str) {
    let least = if cfg!(rar_observed) { expected } else { 1 };
    assert!(
        seen >= least,
        "{what}: too rare (got {seen}, expected {least})"
    );
}

/// The counts of all seeds of a race.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// How often the interleaving of the race was seen.
    pub(crate) seen: u64,
    /// Flushes from an interrupt whose CPU held slots.
    pub(crate) nested: u64,
    /// Ends of lazy mode that flushed.
    pub(crate) made_up: u64,
    /// The driver's statistics; `quarantined` is the sum over all ends.
    pub(crate) statistics: Statistics,
}

/// Returns the machine of the races.
pub(crate) fn machine() -> Episode {
    Episode {
        // The longest honest race takes 38,000 steps; one with a wait that ends only by its timeout
        // takes at most 180,000.
        most_steps: 100_000,
        ..Episode::new(CPUS as u32)
    }
}

/// Returns the same with slow units, so that many slots are held at once; every second machine has
/// few slots.
pub(crate) fn slow_machine(seed: u64) -> Episode {
    Episode {
        entries: if seed.is_multiple_of(2) { 4 } else { 64 },
        knobs: Knobs {
            faults: Faults {
                delay: 60,
                ..Faults::NONE
            },
            ..Knobs::DEFAULT
        },
        ..machine()
    }
}

/// Runs `script` under every seed. `look` sees each step, with its own state of the run, and
/// returns how often this step shows the interleaving.
///
/// # Panics
///
/// If the oracle finds a violation, a run hangs or needs an unexpected fallback, or an invariant of
/// the shared memory is violated.
pub(crate) fn race<Memory: Default>(
    episode: impl Fn(u64) -> Episode,
    script: impl Fn(&mut Script),
    look: &mut dyn FnMut(&mut Memory, &Sight<'_>) -> u64,
) -> Totals {
    let mut totals = Totals::default();
    for seed in 1..=SEEDS {
        let mut parts = Script {
            ops: Vec::new(),
            choice: fastrand::Rng::with_seed(seed),
        };
        script(&mut parts);
        let history = History {
            seed,
            ops: parts.ops,
        };
        let mut observer = Observer::new();
        let mut memory = Memory::default();
        let mut broken = None;
        let ended = episode(seed).run_watched(&history, &mut |machine, shootdown| match observer
            .look(machine, shootdown)
        {
            Ok(sight) => {
                totals.seen += look(&mut memory, &sight);
                ControlFlow::Continue(())
            }
            Err(rule) => {
                broken = Some(rule);
                ControlFlow::Break(())
            }
        });
        let problem = broken.or_else(|| problem(&ended).map(|problem| problem.to_string()));
        if let Some(problem) = problem {
            panic!("seed {seed}: {problem}");
        }
        let Ok(ending) = ended else { continue };
        totals.nested += ending.paths.nested;
        totals.made_up += ending.paths.made_up;
        totals.statistics = totals.statistics + ending.statistics;
    }
    println!("{SEEDS} seeds: {totals:?}");
    totals
}

/// The operations of the CPUs, and the random choices for them.
pub(crate) struct Script {
    ops: Vec<(u16, Op)>,
    /// The random choices.
    pub(crate) choice: fastrand::Rng,
}

impl Script {
    /// Appends an operation to a CPU.
    pub(crate) fn add(&mut self, cpu: usize, op: Op) {
        self.ops.push((cpu as u16, op));
    }

    /// Appends an operation to every CPU.
    pub(crate) fn all_cpus(&mut self, op: &Op) {
        (0..CPUS).for_each(|cpu| self.add(cpu, op.clone()));
    }

    /// Returns a small page.
    pub(crate) fn page(&mut self) -> Slot {
        Slot::Small {
            region: self.choice.u8(..2),
            page: self.choice.u8(..6),
        }
    }

    /// Returns a global page.
    pub(crate) fn kernel_page(&mut self) -> Slot {
        Slot::Kernel {
            page: self.choice.u8(..4),
        }
    }

    /// Returns a random duration.
    pub(crate) fn moments(&mut self) -> u8 {
        self.choice.u8(5..40)
    }
}
