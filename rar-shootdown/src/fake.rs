//! A machine for tests on a host, whose targets answer on the spot.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{CpuId, CpuSet, Domain, PinnedCpu};

use crate::machine::{Instant, Machine, Message, NotSent};

/// A machine of `CPUS` CPUs without RAR whose clock counts how often it is read, and whose targets
/// serve a message inside the call that sends it.
#[derive(Debug)]
pub struct FakeMachine<const CPUS: usize> {
    tlb: FakeTlb<CPUS>,
    hearing: [AtomicU8; CPUS],
    clock: AtomicU64,
    sent: [AtomicU64; 4],
}

/// What a target of a [`FakeMachine`] answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hearing {
    /// The signal and all that comes after it.
    Everything = 0,
    /// The second signal and what comes after it: the first got lost.
    SecondSignal = 1,
    /// The fallback interrupt and the NMI.
    Interrupt = 2,
    /// The NMI alone: interrupts are disabled.
    Nmi = 3,
    /// Nothing.
    Nothing = 4,
}

impl<const CPUS: usize> FakeMachine<CPUS> {
    /// Returns a machine whose CPUs all hear.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tlb: FakeTlb::new(),
            hearing: [const { AtomicU8::new(Hearing::Everything as u8) }; CPUS],
            clock: AtomicU64::new(0),
            sent: [const { AtomicU64::new(0) }; 4],
        }
    }

    /// Sets what a CPU answers to.
    pub fn set_hearing(&self, cpu: CpuId, hearing: Hearing) {
        if let Some(cell) = self.hearing.get(cpu.index()) {
            cell.store(hearing as u8, Ordering::Release);
        }
    }

    /// Returns how often a message was sent.
    #[must_use]
    pub fn sent(&self, message: Message) -> u64 {
        self.sent
            .get(message as usize)
            .map_or(0, |sent| sent.load(Ordering::Acquire))
    }
}

impl<const CPUS: usize> Default for FakeMachine<CPUS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CPUS: usize, const WORDS: usize> Machine<WORDS> for FakeMachine<CPUS> {
    type Tlb = FakeTlb<CPUS>;

    fn tlb(&self) -> &FakeTlb<CPUS> {
        &self.tlb
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
    ) -> Result<(), NotSent> {
        if let Some(sent) = self.sent.get(message as usize) {
            sent.fetch_add(1, Ordering::AcqRel);
        }
        for target in targets.iter() {
            let hearing = self
                .hearing
                .get(target.index())
                .map_or(Hearing::Nothing as u8, |cell| cell.load(Ordering::Acquire));
            if hearing <= message as u8 {
                domain.answer(&pinned(target.get()), &self.tlb);
            }
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.fetch_add(1, Ordering::Relaxed))
    }
}
