//! What the shootdown needs of this kernel: signals to RAR units, or ordinary interrupts where there are none.

use core::sync::atomic::{AtomicU64, Ordering};

use rar_payload::Operation;
use rar_percpu::{CpuSet, LocalTlb, NativeTlb, PinnedCpu, Unsupported};
use rar_regs::RarSupport;
use rar_shootdown::{Machine, Ticks};
use rar_suite::Witness;

use super::{apic, clock, percpu, smp, vector};

/// The machine of a shootdown.
#[derive(Debug)]
pub struct KernelMachine {
    tlb: NativeTlb,
    support: Option<RarSupport>,
    clocks: [LivedTime; rar_suite::MAX_CPUS],
    witness: Witness,
}

impl KernelMachine {
    /// Returns the machine that this kernel runs on; with `support`, its CPUs answer by their RAR units.
    #[must_use]
    pub fn new(support: Option<RarSupport>) -> Self {
        // SAFETY: 1. All of this kernel runs in ring 0. 2. The CPUs of one machine offer the same. 3. CR3 and CR4 change only
        // when a CPU starts and in `Lab::enter`, never in a handler.
        let tlb = unsafe { NativeTlb::new() };
        Self {
            tlb,
            support,
            clocks: [const { LivedTime::new() }; rar_suite::MAX_CPUS],
            witness: Witness::new(),
        }
    }

    /// Returns the proof that the CPUs have RAR units, if they are used.
    #[must_use]
    pub fn support(&self) -> Option<RarSupport> {
        self.support
    }

    /// Returns what the driver has asked of this machine.
    #[must_use]
    pub fn witness(&self) -> &Witness {
        &self.witness
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

/// The time that one CPU has lived through: its time stamp counter, less what went by in jumps.
///
/// When the host does not run the emulator for a while, the counter jumps for the one who waits, though the CPU it waits for
/// had no time to answer either. A jump counts as one millisecond, so that a deadline passes only if the CPU kept looking.
#[derive(Debug)]
struct LivedTime {
    seen: AtomicU64,
    lived: AtomicU64,
}

impl LivedTime {
    const fn new() -> Self {
        Self {
            seen: AtomicU64::new(0),
            lived: AtomicU64::new(0),
        }
    }

    fn read(&self) -> u64 {
        let now = clock::now();
        let passed = now.saturating_sub(self.seen.swap(now, Ordering::Relaxed));
        let counted = passed.min(clock::ticks_per_millisecond());
        self.lived.fetch_add(counted, Ordering::Relaxed) + counted
    }
}

impl Machine for KernelMachine {
    type Tlb = Self;

    fn tlb(&self) -> &Self {
        self
    }

    fn signal<const WORDS: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        self.witness.signals();
        if self.support.is_none() {
            return Self::send(targets, vector::SOFTWARE_SIGNAL);
        }
        let ids = targets
            .iter()
            .filter_map(|target| smp::apic_id(target.get()));
        if let Err(error) = apic::send_requests(ids) {
            defmt::error!("remote action request: {}", error);
        }
    }

    fn interrupt<const WORDS: usize>(&self, _: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        self.witness.interrupts();
        Self::send(targets, vector::FALLBACK);
    }

    fn now(&self) -> Ticks {
        let clock = self.clocks.get(percpu::this().id().index());
        Ticks(clock.map_or_else(clock::now, LivedTime::read))
    }
}

// SAFETY: 1. to 4. As `NativeTlb` promises; counting is one atomic addition.
unsafe impl LocalTlb for KernelMachine {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        self.witness.flushes(cpu.id(), operation);
        self.tlb.flush(cpu, operation)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.witness.flushes_everything(cpu.id());
        self.tlb.flush_everything(cpu);
    }
}
