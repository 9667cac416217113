//! One history on one machine, from power-on to the verdict.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rar_model::Knobs;
use rar_percpu::fake::pinned;
use rar_percpu::{Domain, SlotIndex};
use rar_shootdown::{Shootdown, Statistics};
use rar_suite::Sent;

use super::conditions::Conditions;
use super::counts::Counts;
use super::cpu_task::CpuTask;
use super::op::{History, Op};
use super::oracle::{Tally, Violation};
use super::paths::Paths;
use super::remap::on_own_interrupt;
use super::stage::{SimShootdown, Stage, TLB};
use super::world::World;
use crate::machine::{Addressing, Answering, Clock, Machine, MachineConfig, Memory};
use crate::schedule::End;

/// How the CPUs take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// One at a time, in an order that the seed decides.
    Deterministic,
    /// Each on a thread of the host.
    Threads,
}

/// What a fallback means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallbacks {
    /// A problem: every unit answers in time.
    Unexpected,
    /// Nothing: the units may be late, or refuse.
    Expected,
    /// Nothing, and a flush may fail: the history waits again.
    AndErrors,
}

/// The setup of a history.
#[derive(Clone, Debug)]
pub struct Episode {
    /// How many CPUs there are, 1 to 1,024.
    pub cpus: u32,
    /// What answers signals.
    pub backend: Answering,
    /// The decisions of the RAR units.
    pub knobs: Knobs,
    /// How a signal addresses its targets.
    pub addressing: Addressing,
    /// How the CPUs take turns.
    pub scheduler: Scheduler,
    /// The answer timeout in steps per CPU. Threads have ten seconds.
    pub patience: u32,
    /// How many entries of the table the driver may use.
    pub entries: u8,
    /// Whether histories have different [`Conditions`], by their seeds.
    pub mixed: bool,
    /// What a fallback means.
    pub fallbacks: Fallbacks,
    /// How often, of 256 opportunities, a CPU walks the page tables speculatively.
    pub speculation: u8,
    /// After how many of 256 accesses to memory a page walk is suspended, in histories whose
    /// conditions are not mixed.
    pub walk_pauses: u8,
    /// After how many steps a run counts as hung.
    pub most_steps: u64,
}

/// How a history ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The violation, if there was one.
    pub violation: Option<Violation>,
    /// Whether all CPUs executed all their operations.
    pub complete: bool,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Flushes that were made.
    pub flushes: u64,
    /// Flushes that returned an error.
    pub errors: u64,
    /// Operations of each kind, in the order of [`Op`].
    pub kinds: [u64; Op::KINDS],
    /// Operations that were skipped because a lock was taken or a page was missing.
    pub skipped: u64,
    /// What the oracle saw.
    pub tally: Tally,
    /// Which paths the driver took.
    pub paths: Paths,
    /// Flushes that never ended.
    pub stuck: u64,
    /// Slots that no flush holds, yet are neither free nor waiting for a CPU's answer.
    pub lost_slots: u64,
    /// The driver's statistics.
    pub statistics: Statistics,
    /// What the machine counted of the driver.
    pub sent: Sent,
    /// What counted fallbacks mean.
    pub fallbacks: Fallbacks,
    /// Moves of the cache lines that driver and microcode share.
    pub transfers: u64,
    /// How often a unit accessed memory outside the driver's.
    pub strays: u64,
}

impl Ending {
    /// Whether a flush failed, or needed an unexpected fallback.
    pub(crate) fn needed_help(&self) -> bool {
        let unexpected = self.fallbacks == Fallbacks::Unexpected;
        self.errors > 0 && self.fallbacks != Fallbacks::AndErrors
            || unexpected && self.helped() + self.statistics.failures > 0
    }

    /// How often a fallback was used, according to the driver or the machine, since a driver may
    /// forget to count. Flushes without a slot, and flushes by generation from the start, interrupt
    /// their targets too.
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

/// A history is stopped as hung after this many steps per CPU.
const MOST_STEPS_PER_CPU: u64 = 500_000;
/// A timeout that only a silent CPU exceeds.
const PATIENCE: u32 = 20_000;
/// The same for threads.
const REAL_PATIENCE: Duration = Duration::from_secs(10);

/// Sees the machine before every step and may end the run.
pub type Observer<'l> = dyn FnMut(&Machine<'_, TLB>, &SimShootdown<'_>) -> ControlFlow<()> + 'l;

/// Begins at a cache line, so that the set of words that share one does not depend on the run's
/// address.
#[repr(align(64))]
struct OwnLines<T>(T);

impl Episode {
    /// Returns an episode of honest units, whose CPUs run one at a time and need no fallback.
    #[must_use]
    pub fn new(cpus: u32) -> Self {
        Self {
            cpus,
            backend: Answering::Units,
            knobs: Knobs::DEFAULT,
            addressing: Addressing::Physical,
            scheduler: Scheduler::Deterministic,
            patience: PATIENCE,
            entries: 64,
            mixed: false,
            fallbacks: Fallbacks::Unexpected,
            speculation: 32,
            walk_pauses: 0,
            most_steps: MOST_STEPS_PER_CPU * u64::from(cpus),
        }
    }

    /// Runs a history.
    ///
    /// # Errors
    ///
    /// The reason, if the machine cannot be brought up.
    pub fn run(&self, history: &History) -> Result<Ending, String> {
        self.run_watched(history, &mut |_, _| ControlFlow::Continue(()))
    }

    /// Runs a history and shows the machine before every step. Threads make no steps.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_watched(
        &self,
        history: &History,
        observer: &mut Observer<'_>,
    ) -> Result<Ending, String> {
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
            CpuTask::new(&stage, cpu).run(part.copied());
        };
        let end = match self.scheduler {
            Scheduler::Deterministic => machine.run(history.seed, &body, &mut |steps| {
                steps < self.most_steps
                    && !world.oracle.has_violation()
                    && observer(&machine, shootdown).is_continue()
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

    /// Returns the conditions of a history with this seed.
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
            walk_pauses: conditions.walk_pauses,
            ..MachineConfig::new(self.cpus)
        }
    }
}

/// How many slots one flush owns at most.
const SLOTS_OF_A_FLUSH: u64 = 4;

/// Returns how many slots cannot be claimed, except those that a CPU has not answered. Only while
/// no flush is in flight.
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

/// The operations of each CPU, in order.
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
