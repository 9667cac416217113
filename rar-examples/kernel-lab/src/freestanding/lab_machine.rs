//! The machine of a shootdown under test: the kernel's own, which counts what the driver asks of
//! it.

use core::sync::atomic::{AtomicU32, Ordering};

use rar_kernel::KernelMachine;
use rar_kernel::machine::NmiUse;
use rar_payload::Operation;
use rar_percpu::{CpuId, CpuSet, Domain, LocalTlb, PinnedCpu, Unsupported};
use rar_regs::RarSupport;
use rar_shootdown::{Instant, Machine, Message, NotSent};
use rar_suite::Witness;

/// The machine of a shootdown under test.
#[derive(Debug)]
pub struct LabMachine {
    kernel: KernelMachine,
    /// The number of the CPU for which units are refused, plus one; 0 if they are not.
    refused_by: AtomicU32,
    /// Apart, since it is large: this value is moved over the stack.
    witness: &'static Witness,
}

impl LabMachine {
    /// Returns the machine that this kernel runs on; with `support`, its CPUs answer by their RAR
    /// units.
    ///
    /// A processor holds the next NMI back until the handler of one has ended, so that the
    /// handler's stack is used once.
    pub(crate) fn new(support: Option<RarSupport>, witness: &'static Witness) -> Self {
        Self {
            kernel: KernelMachine::new(support, NmiUse::Serves),
            refused_by: AtomicU32::new(0),
            witness,
        }
    }

    /// Returns the proof that the CPUs have RAR units, if they are used.
    pub(crate) fn support(&self) -> Option<RarSupport> {
        self.kernel
            .support()
            .filter(|_| self.refused_by().is_none())
    }

    /// Returns whether the machine has units, used or refused.
    pub(crate) fn has_units(&self) -> bool {
        self.kernel.support().is_some()
    }

    /// Uses no units from now on, since this CPU disagrees.
    pub(crate) fn refuse_units(&self, cpu: CpuId) {
        self.refused_by.store(cpu.get() + 1, Ordering::Release);
    }

    /// Returns the CPU for which units are refused.
    pub(crate) fn refused_by(&self) -> Option<CpuId> {
        let number = self.refused_by.load(Ordering::Acquire).checked_sub(1)?;
        Some(CpuId::new(number))
    }

    /// Returns whether a CPU can be sent NMIs whose handler serves.
    pub(crate) fn has_nmi(&self) -> bool {
        self.kernel.has_nmi()
    }

    /// Returns what the driver has asked of this machine.
    pub(crate) fn witness(&self) -> &Witness {
        self.witness
    }

    fn tlb(&self) -> &<KernelMachine as Machine>::Tlb {
        Machine::<1>::tlb(&self.kernel)
    }
}

impl<const WORDS: usize> Machine<WORDS> for LabMachine {
    type Tlb = Self;

    fn tlb(&self) -> &Self {
        self
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<WORDS>,
        targets: &CpuSet<WORDS>,
    ) -> Result<(), NotSent> {
        match message {
            Message::Signal | Message::SecondSignal => self.witness.signals(),
            _ => self.witness.interrupts(),
        }
        self.kernel.send(message, cpu, domain, targets)
    }

    fn now(&self) -> Instant {
        Machine::<WORDS>::now(&self.kernel)
    }
}

// SAFETY: 1. to 4. As the kernel's own promises; counting is one atomic addition.
unsafe impl LocalTlb for LabMachine {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        self.witness.flushes(cpu.id(), operation);
        self.tlb().flush(cpu, operation)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.witness.flushes_everything(cpu.id());
        self.tlb().flush_everything(cpu);
    }
}
