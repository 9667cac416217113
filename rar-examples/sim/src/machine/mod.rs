//! The machine: CPUs with registers, RAR units, local APICs and TLBs, over one physical memory.

mod apic;
mod cpu;
mod delivery;
mod driver_memory;
mod kernel;
mod local_tlb;
mod memory;
mod mmu;
mod registers;
mod service;
mod watch;

pub use apic::{Addressing, OddCommands};
pub use cpu::{Cpu, Vector};
pub use driver_memory::{ACTION_VECTORS, DriverMemory, PAYLOAD_TABLE};
pub use kernel::{Backend, Clock, Member, STEP, steps};
pub use local_tlb::Invlpg;
pub use memory::Memory;
pub use mmu::{Caches, PageFault, Stored};
pub use registers::Registers;
pub use service::Service;
pub use watch::{Unwatched, Watch};

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use fastrand::Rng;
use rar_model::Knobs;
use rar_percpu::Domain;
use rar_suite::Witness;

use crate::meter::Meter;
use crate::schedule::{End, run, run_threads};

/// The configuration of a machine.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    /// How many CPUs there are.
    pub cpus: u32,
    /// What answers signals.
    pub backend: Backend,
    /// The decisions of the RAR units; CPU *i* has member *i* modulo the length.
    pub knobs: Vec<Knobs>,
    /// Returns the APIC id of a CPU.
    pub apic_id: fn(u32) -> u32,
    /// How a signal addresses its targets.
    pub addressing: Addressing,
    /// What the units make of commands that no driver sends.
    pub odd_commands: OddCommands,
    /// Whether the units answer while interrupts are disabled.
    pub interrupts: rar_regs::InterruptPolicy,
    /// When the units answer.
    pub service: Service,
    /// What the CPU's own `INVLPG` drops.
    pub invlpg: Invlpg,
    /// Whether the driver may send NMIs.
    pub nmi: bool,
    /// What the clock counts.
    pub clock: Clock,
    /// Decides speculation, and when buffered stores leave.
    pub seed: u64,
    /// How many stores a CPU's buffer holds.
    pub buffered: usize,
    /// Before how many of 256 accesses to shared memory a CPU is suspended: accesses of microcode
    /// and, with `--cfg rar_observed`, of the driver.
    pub preemption: u8,
    /// How often, of 256 opportunities, a CPU walks the page tables speculatively.
    pub speculation: u8,
}

impl MachineConfig {
    /// Returns the configuration of honest units with IGNORE_IF, and one x2APIC command per target.
    #[must_use]
    pub fn new(cpus: u32) -> Self {
        Self {
            cpus,
            backend: Backend::Hardware,
            knobs: vec![Knobs::DEFAULT],
            apic_id: apic::id,
            addressing: Addressing::Physical,
            odd_commands: OddCommands::Dropped,
            interrupts: rar_regs::InterruptPolicy::IgnoreIf,
            service: Service::Boundary,
            invlpg: Invlpg::DropsGlobals,
            nmi: false,
            clock: Clock::Steps,
            seed: 1,
            buffered: 8,
            preemption: 64,
            speculation: 0,
        }
    }
}

/// The driver that the machine runs.
struct Driver<'m> {
    domain: &'m Domain,
    memory: DriverMemory<'m>,
}

/// A machine whose CPUs each cache up to `TLB` translations.
pub struct Machine<'m, const TLB: usize> {
    driver: OnceLock<Driver<'m>>,
    /// Page tables and data.
    pub memory: Memory,
    pub(crate) cpus: Vec<Cpu<TLB>>,
    /// The CPU of each APIC id.
    by_apic_id: HashMap<u32, u32>,
    pub(crate) config: MachineConfig,
    pub(crate) watch: &'m dyn Watch,
    pub(crate) meter: Mutex<Meter>,
    /// The machine's own random choices.
    choice: Mutex<Rng>,
    /// Interrupt commands with delivery mode 011b.
    commands: AtomicU64,
    /// Signals that a unit lost.
    dropped: AtomicU64,
    /// Signals that met an earlier one.
    merged: AtomicU64,
    /// How often a handler promoted a demoted CPU.
    promoted: AtomicU64,
    steps: AtomicU64,
    started: Instant,
    witness: Witness,
}

impl<'m, const TLB: usize> Machine<'m, TLB> {
    /// Returns a machine after power-on, whose accesses `watch` sees. It runs no driver before
    /// [`register_cpus`](Self::register_cpus).
    #[must_use]
    pub fn new(watch: &'m dyn Watch, config: MachineConfig) -> Self {
        Self::with_memory(watch, config, Memory::default())
    }

    /// Returns the same, with page tables in memory already.
    #[must_use]
    pub fn with_memory(watch: &'m dyn Watch, config: MachineConfig, memory: Memory) -> Self {
        #[cfg(rar_observed)]
        crate::schedule::install();
        let knobs = config.knobs.iter().cycle();
        let cpus: Vec<_> = (0..config.cpus)
            .zip(knobs)
            .map(|(cpu, knobs)| Cpu::new(*knobs, (config.apic_id)(cpu)))
            .collect();
        let by_apic_id = cpus.iter().map(|cpu| cpu.apic_id).zip(0..).collect();
        Self {
            driver: OnceLock::new(),
            memory,
            cpus,
            by_apic_id,
            watch,
            meter: Mutex::new(Meter::default()),
            choice: Mutex::new(Rng::with_seed(config.seed)),
            commands: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            merged: AtomicU64::new(0),
            promoted: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            started: Instant::now(),
            witness: Witness::new(),
            config,
        }
    }

    /// Returns the number of CPUs.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        self.config.cpus
    }

    /// Returns the CPUs that share the payload table.
    ///
    /// # Panics
    ///
    /// Before [`register_cpus`](Self::register_cpus).
    #[must_use]
    pub fn domain(&self) -> &'m Domain {
        self.driver_it_runs().domain
    }

    /// Returns the memory that the driver shares with the units.
    ///
    /// # Panics
    ///
    /// Before [`register_cpus`](Self::register_cpus).
    #[must_use]
    pub fn driver(&self) -> &DriverMemory<'m> {
        &self.driver_it_runs().memory
    }

    fn driver_it_runs(&self) -> &Driver<'m> {
        match self.driver.get() {
            Some(driver) => driver,
            None => unreachable!("a machine runs its driver after register_cpus"),
        }
    }

    /// Returns the counts of what the driver asked of this machine.
    #[must_use]
    pub fn witness(&self) -> &Witness {
        &self.witness
    }

    /// Returns what answers signals.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.config.backend
    }

    /// Returns how signals address their targets.
    #[must_use]
    pub fn addressing(&self) -> Addressing {
        self.config.addressing
    }

    /// Returns how many commands with delivery mode 011b the driver wrote.
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// Returns how many signals met one that a unit had not served yet.
    pub fn merged_signals(&self) -> u64 {
        self.merged.load(Ordering::Relaxed)
    }

    /// Returns how many signals a unit lost.
    pub fn dropped_signals(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns how often a handler promoted a demoted CPU.
    pub fn promotions(&self) -> u64 {
        self.promoted.load(Ordering::Relaxed)
    }

    /// Returns one CPU.
    ///
    /// # Panics
    ///
    /// If the machine has no such CPU.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "documented panic, a mistake of the user"
    )]
    pub fn cpu(&self, cpu: u32) -> &Cpu<TLB> {
        &self.cpus[cpu as usize]
    }

    /// Returns the count of cache-line transfers.
    pub fn meter(&self) -> MutexGuard<'_, Meter> {
        lock(&self.meter)
    }

    /// Runs `body` for every CPU, one at a time in an order that `seed` decides, until all have
    /// ended or `proceed` returns false. `proceed` is called before each step with the number of
    /// steps made.
    pub fn run(&self, seed: u64, body: &dyn Fn(u32), proceed: &mut dyn FnMut(u64) -> bool) -> End {
        let mut proceed = |steps| {
            self.tick();
            proceed(steps)
        };
        run(self.cpus(), seed, self, body, &mut proceed)
    }

    /// Runs `body` for every CPU, each on a thread of its own.
    pub fn run_threads(&self, body: &(dyn Fn(u32) + Sync)) {
        run_threads(self.cpus(), self, body);
    }

    /// Counts a step of the scheduler: the machine's clock.
    pub(crate) fn tick(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the source of random choices, which depend on the seed only.
    pub(crate) fn choice(&self) -> MutexGuard<'_, Rng> {
        lock(&self.choice)
    }
}

/// Locks a mutex, also after a panic: that ends the run, and its data reaches no verdict.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
