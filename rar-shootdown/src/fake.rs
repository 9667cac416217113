//! A machine for tests on a host, whose targets answer on the spot.

use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::sync::{AtomicU8, AtomicU64, Ordering};
use rar_percpu::{CpuId, CpuSet, DEFAULT_WORDS, Domain, PinnedCpu, shared_array};

use crate::machine::{Machine, Ticks};

/// A machine of `CPUS` CPUs without RAR whose clock counts how often it is read, and whose targets serve an interrupt inside the call that
/// sends it.
#[derive(Debug)]
pub struct FakeMachine<'m, const CPUS: usize, const WORDS: usize = DEFAULT_WORDS> {
    domain: &'m Domain<'m, WORDS>,
    tlb: FakeTlb<CPUS>,
    hearing: [AtomicU8; CPUS],
    clock: AtomicU64,
    signals: AtomicU64,
    interrupts: AtomicU64,
}

/// What a target of a [`FakeMachine`] answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// The signal and the fallback interrupt.
    Both = 0,
    /// The fallback interrupt alone.
    FallbackOnly = 1,
    /// Neither.
    Nothing = 2,
}

impl<'m, const CPUS: usize, const WORDS: usize> FakeMachine<'m, CPUS, WORDS> {
    /// Returns a machine whose CPUs all hear.
    #[must_use]
    pub fn new(domain: &'m Domain<'m, WORDS>) -> Self {
        Self {
            domain,
            tlb: FakeTlb::new(),
            hearing: shared_array!(AtomicU8::new(Hearing::Both as u8)),
            clock: AtomicU64::new(0),
            signals: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
        }
    }

    /// Sets what a CPU answers to.
    pub fn set_hearing(&self, cpu: CpuId, hearing: Hearing) {
        if let Some(cell) = self.hearing.get(cpu.index()) {
            cell.store(hearing as u8, Ordering::Release);
        }
    }

    /// Returns how often [`Machine::signal`] was called.
    #[must_use]
    pub fn signals(&self) -> u64 {
        self.signals.load(Ordering::Acquire)
    }

    /// Returns how often [`Machine::interrupt`] was called.
    #[must_use]
    pub fn interrupts(&self) -> u64 {
        self.interrupts.load(Ordering::Acquire)
    }

    fn reach<const W: usize>(&self, targets: &CpuSet<W>, deafest: Hearing) {
        for target in targets.iter() {
            let hearing = self
                .hearing
                .get(target.index())
                .map_or(Hearing::Nothing as u8, |cell| cell.load(Ordering::Acquire));
            if hearing <= deafest as u8 {
                let _served = self.domain.serve(&pinned(target.get()), &self.tlb);
            }
        }
    }
}

impl<const CPUS: usize, const WORDS: usize> Machine for FakeMachine<'_, CPUS, WORDS> {
    type Tlb = FakeTlb<CPUS>;

    fn tlb(&self) -> &FakeTlb<CPUS> {
        &self.tlb
    }

    fn signal<const W: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<W>) {
        self.signals.fetch_add(1, Ordering::AcqRel);
        self.reach(targets, Hearing::Both);
    }

    fn interrupt<const W: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<W>) {
        self.interrupts.fetch_add(1, Ordering::AcqRel);
        self.reach(targets, Hearing::FallbackOnly);
    }

    fn now(&self) -> Ticks {
        Ticks(self.clock.fetch_add(1, Ordering::Relaxed))
    }
}
