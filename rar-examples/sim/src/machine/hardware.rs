//! The machine: its parts, and what tests read of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use fastrand::Rng;
use rar_percpu::Domain;
use rar_suite::Witness;

use super::config::{Addressing, Answering, MachineConfig};
use super::cpu::Cpu;
use super::driver_memory::DriverMemory;
use super::lock::lock;
use super::memory::Memory;
use super::watch::Watch;
use crate::meter::Meter;
use crate::schedule::{End, run, run_threads};

/// The driver that the machine runs.
pub(super) struct Driver<'m> {
    pub(super) domain: &'m Domain,
    pub(super) memory: DriverMemory<'m>,
}

/// A machine whose CPUs each cache up to `TLB` translations.
pub struct Machine<'m, const TLB: usize> {
    pub(super) driver: OnceLock<Driver<'m>>,
    /// Page tables and data.
    pub memory: Memory,
    pub(crate) cpus: Vec<Cpu<TLB>>,
    /// The CPU of each APIC id.
    pub(super) by_apic_id: HashMap<u32, u32>,
    pub(crate) config: MachineConfig,
    pub(crate) watch: &'m dyn Watch,
    pub(crate) meter: Mutex<Meter>,
    /// The machine's own random choices.
    pub(super) choice: Mutex<Rng>,
    /// Those about page walks. They have their own source, so that the others stay the same where
    /// no walk is suspended.
    pub(super) pausing: Mutex<Rng>,
    /// Interrupt commands with delivery mode 011b.
    pub(super) commands: AtomicU64,
    /// Signals that a unit lost.
    pub(super) dropped: AtomicU64,
    /// Signals that met an earlier one.
    pub(super) merged: AtomicU64,
    /// How often a handler promoted a demoted CPU.
    pub(super) promoted: AtomicU64,
    pub(super) steps: AtomicU64,
    pub(super) started: Instant,
    pub(super) witness: Witness,
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
            pausing: Mutex::new(Rng::with_seed(!config.seed)),
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
    pub fn backend(&self) -> Answering {
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
