//! What the shootdown needs of this kernel, without RAR: ordinary interrupts.

use rar_percpu::{CpuSet, NativeTlb, PinnedCpu};
use rar_shootdown::{Machine, Ticks};

use super::{apic, clock, smp, vector};

/// The machine of a shootdown that answers in software.
#[derive(Debug)]
pub struct KernelMachine {
    tlb: NativeTlb,
}

impl KernelMachine {
    /// Returns the machine that this kernel runs on.
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: 1. All of this kernel runs in ring 0. 2. The CPUs of one machine offer the same. 3. CR3 and CR4 change only
        // when a CPU starts and in `Lab::enter`, never in a handler.
        let tlb = unsafe { NativeTlb::new() };
        Self { tlb }
    }

    /// Sends an ordinary interrupt to each CPU of the set.
    ///
    /// One that the APIC does not take in its bounded wait is left to the deadline of the flush.
    fn send<const WORDS: usize>(targets: &CpuSet<WORDS>, vector: u8) {
        for target in targets.iter() {
            if let Some(Err(error)) =
                smp::apic_id(target.get()).map(|id| apic::send_fixed(id, vector))
            {
                defmt::error!("vector {} to CPU {}: {}", vector, target, error);
            }
        }
    }
}

impl Default for KernelMachine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for KernelMachine {
    type Tlb = NativeTlb;

    fn tlb(&self) -> &NativeTlb {
        &self.tlb
    }

    fn signal<const WORDS: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        Self::send(targets, vector::SOFTWARE_SIGNAL);
    }

    fn interrupt<const WORDS: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        Self::send(targets, vector::FALLBACK);
    }

    fn now(&self) -> Ticks {
        Ticks(clock::now())
    }
}
