//! One history on one machine, from power-on to its verdict.

use rar_model::Knobs;
use rar_percpu::{Domain, PayloadTable, PerCpu};
use rar_regs::InterruptPolicy;
use rar_shootdown::{Policy, Shootdown, Statistics};
use rar_suite::Sent;

use super::actor::{Actor, Counts, Stage, TLB, on_own_interrupt};
use super::op::{History, Op};
use super::oracle::{Tally, Violation};
use super::world::World;
use crate::machine::{Addressing, Backend, Clock, Config, Machine, Memory};
use crate::schedule::End;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

/// How the CPUs take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// One at a time, in an order that the seed decides.
    Deterministic,
    /// Each on a thread of the host.
    Threads,
}

/// What it means that the fallback was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallbacks {
    /// A problem: every unit answers, and in time.
    Unexpected,
    /// Nothing: the units are late, or refuse.
    Expected,
}

/// What a history runs on.
#[derive(Clone, Debug)]
pub struct Episode {
    /// How many CPUs there are, 1 to 1,024.
    pub cpus: u32,
    /// Who answers signals.
    pub backend: Backend,
    /// The decisions of the RAR units.
    pub knobs: Knobs,
    /// How a signal addresses its targets.
    pub addressing: Addressing,
    /// How the CPUs take turns.
    pub scheduler: Scheduler,
    /// How long a unit may take to answer, in steps per CPU, before the fallback is asked. Threads have ten seconds.
    pub patience: u64,
    /// What it means that the fallback was needed.
    pub fallbacks: Fallbacks,
    /// How often, of 256 times that it could, a CPU walks the page tables of some page without being asked.
    pub speculation: u8,
    /// After how many steps a run that has not ended counts as hanging.
    pub most_steps: u64,
}

/// How a history ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// What must never happen, if it did.
    pub violation: Option<Violation>,
    /// Whether all CPUs came to the end of their part.
    pub complete: bool,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Flushes that were made.
    pub flushes: u64,
    /// Flushes that returned an error.
    pub errors: u64,
    /// Operations of each kind, in the order of [`Op`].
    pub kinds: [u64; Op::KINDS],
    /// Operations that found what they needed taken.
    pub skipped: u64,
    /// What the oracle saw.
    pub tally: Tally,
    /// Flushes from an interrupt whose CPU held slots.
    pub nested: u64,
    /// Ends of a deferral that flushed, since somebody had left the CPU alone.
    pub made_up: u64,
    /// What the driver counted.
    pub statistics: Statistics,
    /// What the machine saw of it.
    pub sent: Sent,
    /// What it means if it counted fallbacks.
    pub fallbacks: Fallbacks,
    /// Cache lines that travelled, of those that driver and microcode share.
    pub transfers: u64,
    /// How often a unit reached for memory that is none of the driver's.
    pub strays: u64,
}

impl Ending {
    /// Whether a flush failed, or needed the fallback where it is unexpected.
    pub(crate) fn needed_help(&self) -> bool {
        let unexpected = self.fallbacks == Fallbacks::Unexpected;
        self.errors > 0 || unexpected && self.helped() + self.statistics.failures > 0
    }

    /// How often the fallback helped: by the driver's word, or by the machine's, since a driver may forget to count. Flushes without
    /// a slot interrupt their targets, too.
    pub(crate) fn helped(&self) -> u64 {
        let Statistics {
            fallbacks,
            slotless,
            ..
        } = self.statistics;
        fallbacks.max(self.sent.interrupts.saturating_sub(slotless))
    }
}

/// A history that hangs is stopped after so many steps per CPU.
const MOST_STEPS_PER_CPU: u64 = 500_000;
/// Long enough that only who never answers is late.
const PATIENCE: u64 = 20_000;
/// How often a CPU may look at its unit, at most, before a slow unit answers.
const SLOWEST: u8 = 24;
/// Ten seconds in microseconds.
const REAL_PATIENCE: u64 = 10_000_000;

/// Sees the machine before every step, and may end the run.
pub type Look<'l> =
    dyn FnMut(&Machine<'_, TLB>, &Shootdown<'_, Machine<'_, TLB>>) -> ControlFlow<()> + 'l;

/// Begins at a cache line: which words share one must not depend on where a run happens to lie in memory.
#[repr(align(64))]
struct OwnLines<T>(T);

impl Episode {
    /// Returns an episode of honest units on that many CPUs, one at a time, in which nothing needs the fallback.
    #[must_use]
    pub fn new(cpus: u32) -> Self {
        Self {
            cpus,
            backend: Backend::Hardware,
            knobs: Knobs::DEFAULT,
            addressing: Addressing::Physical,
            scheduler: Scheduler::Deterministic,
            patience: PATIENCE,
            fallbacks: Fallbacks::Unexpected,
            speculation: 32,
            most_steps: MOST_STEPS_PER_CPU * u64::from(cpus),
        }
    }

    /// Runs a history.
    ///
    /// # Errors
    ///
    /// A sentence, if the machine cannot be brought up.
    pub fn run(&self, history: &History) -> Result<Ending, String> {
        self.run_watched(history, &mut |_, _| ControlFlow::Continue(()))
    }

    /// Runs a history, and shows the machine before every step; not to threads, which take none.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_watched(&self, history: &History, look: &mut Look<'_>) -> Result<Ending, String> {
        let table = PayloadTable::new();
        let cpus: Vec<_> = (0..self.cpus).map(|_| PerCpu::new()).collect();
        let OwnLines(domain) = &OwnLines(Domain::new(&table, &cpus));
        let memory = Memory::default();
        let world = World::new(&memory);
        let machine: Machine<'_, TLB> =
            Machine::with_memory(domain, &world, self.config(history.seed), memory);
        machine.register_cpus().map_err(|error| error.to_string())?;
        let support = machine.detect().map_err(|error| error.to_string())?;
        let entries = support.map_or(64, |support| usize::from(support.entries()));
        let shootdown = Shootdown::new(&machine, domain, entries, self.policy());
        let stage = Stage {
            world: &world,
            machine: &machine,
            shootdown: &shootdown,
            support,
            counts: Counts::default(),
        };
        let handler = |cpu| on_own_interrupt(&stage, cpu);
        let _first = world.handler.set(&handler);

        let parts = parts(self.cpus, history);
        let body = |cpu: u32| {
            let part = parts.get(cpu as usize).into_iter().flatten();
            Actor::new(&stage, cpu).run(part.copied());
        };
        let end = match self.scheduler {
            Scheduler::Deterministic => machine.run(history.seed, &body, &mut |steps| {
                steps < self.most_steps
                    && !world.oracle.has_violation()
                    && look(&machine, &shootdown).is_continue()
            }),
            Scheduler::Threads => {
                machine.run_threads(&body);
                End::Complete(0)
            }
        };
        let (complete, steps) = match end {
            End::Complete(steps) => (true, steps),
            End::Stopped(steps) => (false, steps),
        };
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Ok(Ending {
            violation: world.oracle.violation(),
            complete,
            steps,
            flushes: get(&stage.counts.flushes),
            errors: get(&stage.counts.errors),
            kinds: stage.counts.kinds.each_ref().map(get),
            skipped: get(&stage.counts.skipped),
            tally: world.oracle.tally(),
            nested: get(&stage.counts.nested),
            made_up: get(&stage.counts.made_up),
            fallbacks: self.fallbacks,
            statistics: shootdown.statistics(),
            sent: machine.witness().sent(),
            transfers: machine.meter().transfers(),
            strays: machine.driver.strays(),
        })
    }

    /// Every second history has units that take their time, each its own: who does not wait for them is seen only then.
    fn units(&self, seed: u64) -> Vec<Knobs> {
        let mut choice = fastrand::Rng::with_seed(seed);
        let mut unit = || {
            let mut knobs = self.knobs;
            if knobs.faults.delay == 0 && seed % 2 == 1 {
                knobs.faults.delay = choice.u8(..SLOWEST);
            }
            knobs
        };
        (0..self.cpus).map(|_| unit()).collect()
    }

    fn config(&self, seed: u64) -> Config {
        Config {
            backend: self.backend,
            knobs: self.units(seed),
            addressing: self.addressing,
            interrupts: InterruptPolicy::IgnoreIf,
            clock: match self.scheduler {
                Scheduler::Deterministic => Clock::Steps,
                Scheduler::Threads => Clock::Time,
            },
            seed,
            speculation: self.speculation,
            ..Config::new(self.cpus)
        }
    }

    fn policy(&self) -> Policy {
        let (answer, patience) = match self.scheduler {
            Scheduler::Deterministic => (self.patience, PATIENCE),
            Scheduler::Threads => (REAL_PATIENCE, REAL_PATIENCE),
        };
        Policy {
            answer,
            fallback: patience,
            slot: patience,
            resignal: None,
            operations: Policy::MAX_OPERATIONS,
        }
    }
}

/// The part of each CPU, in its own order.
fn parts(cpus: u32, history: &History) -> Vec<Vec<&Op>> {
    let mut parts = vec![Vec::new(); cpus as usize];
    for (cpu, op) in &history.ops {
        let index = usize::from(*cpu).checked_rem(parts.len()).unwrap_or(0);
        if let Some(part) = parts.get_mut(index) {
            part.push(op);
        }
    }
    parts
}
