//! One history on one machine, from power-on to its verdict.

use rar_model::Knobs;
use rar_percpu::fake::pinned;
use rar_percpu::{Domain, SlotIndex};
use rar_shootdown::{Shootdown, Statistics};
use rar_suite::Sent;

use super::conditions::Conditions;
use super::counts::Counts;
use super::cpu_task::Actor;
use super::op::{History, Op};
use super::oracle::{Tally, Violation};
use super::paths::Paths;
use super::remap::on_own_interrupt;
use super::stage::{SimShootdown, Stage, TLB};
use super::world::World;
use crate::machine::{Addressing, Backend, Clock, Machine, MachineConfig, Memory};
use crate::schedule::End;

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    /// Nothing, and a flush may fail, too: it is waited for again.
    AndErrors,
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
    pub patience: u32,
    /// How many entries of the table the driver may use.
    pub entries: u8,
    /// Whether histories have different [`Conditions`], by their seeds.
    pub mixed: bool,
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
    /// Which ways the driver went.
    pub paths: Paths,
    /// Flushes that never ended.
    pub stuck: u64,
    /// Slots that are neither free nor wait for a CPU's answer, though nobody holds them.
    pub lost_slots: u64,
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
        self.errors > 0 && self.fallbacks != Fallbacks::AndErrors
            || unexpected && self.helped() + self.statistics.failures > 0
    }

    /// How often the fallback helped: by the driver's word, or by the machine's, since a driver may forget to count. Flushes without
    /// a slot, and those of CPUs that are flushed by generation from the start, interrupt their targets, too.
    pub(crate) fn helped(&self) -> u64 {
        let Statistics {
            fallbacks,
            slotless,
            by_generation,
            ..
        } = self.statistics;
        fallbacks.max(
            self.sent
                .interrupts
                .saturating_sub(slotless + by_generation),
        )
    }
}

/// A history that hangs is stopped after so many steps per CPU.
const MOST_STEPS_PER_CPU: u64 = 500_000;
/// Long enough that only who never answers is late.
const PATIENCE: u32 = 20_000;
/// For threads.
const REAL_PATIENCE: Duration = Duration::from_secs(10);

/// Sees the machine before every step, and may end the run.
pub type Look<'l> = dyn FnMut(&Machine<'_, TLB>, &SimShootdown<'_>) -> ControlFlow<()> + 'l;

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
            entries: 64,
            mixed: false,
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
        let conditions = self.conditions(history.seed);
        let memory = Memory::default();
        let world = World::new(&memory);
        let config = self.config(history.seed, &conditions);
        let machine: Machine<'_, TLB> = Machine::with_memory(&world, config, memory);
        let OwnLines(shootdown) = &OwnLines(Shootdown::new(&machine, conditions.policy));
        let domain = shootdown.domain();
        machine
            .register_cpus(domain)
            .map_err(|error| error.to_string())?;
        let support = machine.detect().map_err(|error| error.to_string())?;
        domain.limit_entries(conditions.entries);
        let stage = Stage {
            world: &world,
            machine: &machine,
            shootdown,
            support,
            counts: Counts::default(),
            queue: Mutex::default(),
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
                    && look(&machine, shootdown).is_continue()
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
        let counts = &stage.counts;
        let statistics = shootdown.statistics();
        let mut paths = Paths {
            promotions: machine.promotions(),
            taken_over: get(&counts.taken_over),
            ended_elsewhere: get(&counts.ended_elsewhere),
            forgotten: get(&counts.forgotten),
            dead: get(&counts.dead),
            made_up: get(&counts.made_up),
            nested: get(&counts.nested),
            ..Paths::default()
        };
        paths.count(&statistics);
        let forgotten = paths.forgotten * SLOTS_OF_A_FLUSH;
        let lost_slots = if complete {
            lost_slots(domain).saturating_sub(forgotten)
        } else {
            0
        };
        Ok(Ending {
            violation: world.oracle.violation(),
            complete,
            steps,
            flushes: get(&stage.counts.flushes),
            errors: get(&stage.counts.errors),
            kinds: stage.counts.kinds.each_ref().map(get),
            skipped: get(&stage.counts.skipped),
            tally: world.oracle.tally(),
            paths,
            stuck: get(&counts.stuck),
            lost_slots,
            fallbacks: conditions.fallbacks,
            statistics,
            sent: machine.witness().sent(),
            transfers: machine.meter().transfers(),
            strays: machine.driver().strays(),
        })
    }

    /// Returns what a history of this seed runs under.
    #[must_use]
    pub fn conditions(&self, seed: u64) -> Conditions {
        let mut conditions = Conditions::of(self, seed);
        if self.scheduler == Scheduler::Threads {
            let policy = &mut conditions.policy;
            policy.answer_timeout = REAL_PATIENCE;
            policy.fallback_timeout = REAL_PATIENCE;
            policy.slot_timeout = REAL_PATIENCE;
        }
        conditions
    }

    fn config(&self, seed: u64, conditions: &Conditions) -> MachineConfig {
        MachineConfig {
            backend: self.backend,
            knobs: conditions.knobs.clone(),
            addressing: self.addressing,
            interrupts: conditions.interrupts,
            nmi: conditions.nmi,
            clock: match self.scheduler {
                Scheduler::Deterministic => Clock::Steps,
                Scheduler::Threads => Clock::Time,
            },
            seed,
            speculation: self.speculation,
            ..MachineConfig::new(self.cpus)
        }
    }
}

/// How many slots one flush owns at most.
const SLOTS_OF_A_FLUSH: u64 = 4;

/// Returns how many slots cannot be claimed, but for those that a CPU has not answered. Only while no flush is in flight.
fn lost_slots(domain: &Domain) -> u64 {
    let cpu = pinned(0);
    let mut claims = Vec::new();
    while let Some(claimed) = domain.claim(&cpu, 1) {
        claims.push(claimed);
    }
    let is_open = |slot: &SlotIndex| {
        let online = domain.online();
        let mut cpus = online.iter().filter_map(|cpu| domain.cpu(cpu));
        cpus.any(|state| !state.vector().load(*slot).is_final())
    };
    let open = SlotIndex::first(domain.entries()).filter(is_open).count();
    (domain.entries() - claims.len()).saturating_sub(open) as u64
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
