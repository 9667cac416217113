//! One race: a script for 8 CPUs, run under many seeds and watched at every step.

use std::ops::ControlFlow;

use rar_model::{Faults, Knobs};
use rar_shootdown::Statistics;
use rar_sim::history::{Episode, History, Op, Slot, problem};

use crate::observer::{CPUS, Observer, Sight};

/// Seeds of a race. Without `--cfg rar_observed` CPUs are suspended at fewer places, and the build is not optimised.
const SEEDS: u64 = if cfg!(rar_observed) { 200 } else { 5 };

/// What all seeds of a race counted together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Sightings of the interleaving that the race is about.
    pub(crate) seen: u64,
    /// Flushes from an interrupt whose CPU held slots.
    pub(crate) nested: u64,
    /// Ends of lazy mode that flushed.
    pub(crate) made_up: u64,
    /// The driver's counts; of `quarantined` the sum over the ends.
    pub(crate) statistics: Statistics,
}

/// Returns the machine of the races.
pub(crate) fn machine() -> Episode {
    Episode {
        // The longest honest race takes 38,000; a CPU that gives up a wait of its own only after its deadline ends by 180,000.
        most_steps: 100_000,
        ..Episode::new(CPUS as u32)
    }
}

/// Returns the same with units that take their time, so that many slots are held at once; every second one has few slots.
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

/// Runs `script` under every seed. `look` sees each step, with what it remembers of the same run, and returns how often it saw the
/// interleaving just now.
///
/// # Panics
///
/// If the oracle finds a violation, if a run hangs or needs help that the episode does not expect, or if a rule of the shared
/// memory is broken.
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
        totals.statistics = sum(totals.statistics, ending.statistics);
    }
    println!("{SEEDS} seeds: {totals:?}");
    totals
}

fn sum(one: Statistics, other: Statistics) -> Statistics {
    let mut sum = one;
    sum.fallbacks += other.fallbacks;
    sum.resignals += other.resignals;
    sum.nmis += other.nmis;
    sum.failures += other.failures;
    sum.slotless += other.slotless;
    sum.by_generation += other.by_generation;
    sum.collapsed += other.collapsed;
    sum.unsent += other.unsent;
    sum.demotions += other.demotions;
    sum.promotions += other.promotions;
    sum.errors += other.errors;
    sum.quarantined += other.quarantined;
    sum
}

/// What the CPUs are to do, and the dice for it.
pub(crate) struct Script {
    ops: Vec<(u16, Op)>,
    /// The dice.
    pub(crate) choice: fastrand::Rng,
}

impl Script {
    /// Gives a CPU one thing more to do.
    pub(crate) fn add(&mut self, cpu: usize, op: Op) {
        self.ops.push((cpu as u16, op));
    }

    /// Gives every CPU one thing more to do.
    pub(crate) fn everyone(&mut self, op: &Op) {
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

    /// Returns how long something lasts.
    pub(crate) fn moments(&mut self) -> u8 {
        self.choice.u8(5..40)
    }
}
