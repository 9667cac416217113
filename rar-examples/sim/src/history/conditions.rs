//! The conditions of a history: ample slots and timeouts, few slots, or hard ones.

use rar_model::{Faults, Knobs};
use rar_payload::CostModel;
use rar_regs::InterruptPolicy;
use rar_shootdown::{LazySkip, Policy};

use super::episode::{Episode, Fallbacks, Scheduler};
use super::op::Extra;
use crate::machine::{Answering, steps};

/// A timeout that only a silent CPU exceeds, in steps per CPU.
const PATIENCE: u32 = 20_000;
/// How many polls of a slow unit pass at most before it answers.
const SLOWEST: u8 = 24;
/// Of 8 histories of a mixed campaign: how many have few slots, and how many have hard conditions.
const NARROW: u8 = 2;
const ROUGH: u8 = 3;
/// Of 8 histories of a mixed campaign: how many suspend page walks, whatever else they have.
const WALKS: u8 = 2;

/// The machine of one history, and what the driver may expect of it.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// The decisions of each unit.
    pub knobs: Vec<Knobs>,
    /// How many entries of the table the driver may use.
    pub entries: u8,
    /// The driver's policy, on a clock that counts steps.
    pub policy: Policy,
    /// Whether the driver may send NMIs.
    pub nmi: bool,
    /// Whether units obey IF.
    pub interrupts: InterruptPolicy,
    /// What a fallback or a failed flush means.
    pub fallbacks: Fallbacks,
    /// Whether CPUs may be deaf, or die.
    pub rough: bool,
    /// After how many of 256 accesses to memory a page walk is suspended. If it is not 0, A and D
    /// bits are cleared, too.
    pub walk_pauses: u8,
}

impl Conditions {
    /// Returns the conditions of a history. Its seed decides them if the episode mixes them.
    #[must_use]
    pub fn of(episode: &Episode, seed: u64) -> Self {
        let mut conditions = Self::without_walks(episode, seed);
        conditions.walk_pauses = episode.walk_pauses;
        let mut dice = fastrand::Rng::with_seed(seed ^ 0x3a1c);
        if episode.mixed && dice.u8(..8) < WALKS {
            conditions.walk_pauses = dice.u8(16..);
        }
        conditions
    }

    /// Returns the kinds of operations that these conditions permit or ask for.
    pub(crate) const fn extra(&self) -> Extra {
        Extra {
            rough: self.rough,
            cleans: self.walk_pauses > 0,
        }
    }

    fn without_walks(episode: &Episode, seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let kind = match episode.scheduler {
            _ if !episode.mixed => u8::MAX,
            Scheduler::Deterministic => dice.u8(..8),
            // A timeout on the clock of the host takes seconds.
            Scheduler::Threads => dice.u8(..NARROW * 2),
        };
        let plain = Self::plain(episode, seed);
        if kind < NARROW {
            let mut narrow = plain;
            narrow.entries = dice.u8(1..=3);
            // A handler that has interrupted a responder may want the slot of the entry being
            // served, so its wait for a slot is shorter than the others' wait for its answer.
            narrow.policy.slot_timeout = steps(PATIENCE / 10);
            // Flushes with more operations than slots.
            narrow.policy.costs = CostModel::EXACT;
            narrow
        } else if kind < NARROW + ROUGH && episode.scheduler == Scheduler::Deterministic {
            plain.rough(episode.backend, &mut dice)
        } else {
            plain
        }
    }

    /// Every second history has slow units, each with its own delay. Only they reveal a driver that
    /// does not wait.
    fn plain(episode: &Episode, seed: u64) -> Self {
        let mut choice = fastrand::Rng::with_seed(seed);
        let mut unit = || {
            let mut knobs = episode.knobs;
            if knobs.faults.delay == 0 && seed % 2 == 1 {
                knobs.faults.delay = choice.u8(..SLOWEST).into();
            }
            knobs
        };
        let mut policy = Policy::new();
        policy.answer_timeout = steps(episode.patience);
        policy.fallback_timeout = steps(PATIENCE);
        policy.slot_timeout = steps(PATIENCE);
        policy.resignal_after = None;
        policy.lazy = LazySkip::LOWER_HALF;
        Self {
            knobs: (0..episode.cpus).map(|_| unit()).collect(),
            entries: episode.entries,
            policy,
            nmi: false,
            interrupts: InterruptPolicy::IgnoreIf,
            fallbacks: episode.fallbacks,
            rough: false,
            walk_pauses: 0,
        }
    }

    /// Few slots or some, short deadlines, units that refuse, stall, lose signals and fall silent.
    fn rough(mut self, backend: Answering, dice: &mut fastrand::Rng) -> Self {
        let answer = dice.u32(10..200);
        self.policy.answer_timeout = steps(answer);
        self.policy.fallback_timeout = steps(dice.u32(10..200));
        self.policy.slot_timeout = steps(dice.u32(..100));
        self.policy.resignal_after = dice.bool().then(|| steps(answer / 3));
        self.policy.max_operations = dice.usize(1..=Policy::MAX_OPERATIONS);
        self.entries = if dice.bool() { dice.u8(1..=3) } else { 8 };
        self.nmi = dice.bool();
        if dice.u8(..3) == 0 {
            self.interrupts = InterruptPolicy::RespectIf;
        }
        for knobs in &mut self.knobs {
            let honest = knobs.faults;
            knobs.faults = match dice.u8(..8) {
                _ if backend == Answering::Software => honest,
                0 => Faults {
                    fail_every: dice.u8(1..6),
                    ..honest
                },
                1 => Faults {
                    lose_every: dice.u8(1..5),
                    ..honest
                },
                2 => Faults {
                    delay: dice.u8(100..).into(),
                    ..honest
                },
                3 => Faults {
                    mute: dice.u64(..) & dice.u64(..),
                    ..honest
                },
                _ => honest,
            };
        }
        self.fallbacks = Fallbacks::AndErrors;
        self.rough = true;
        self
    }
}
