//! This CPU, for as long as a guard lives.

use rar_kernel::irq;
use rar_shootdown::rar_percpu::{CpuGuard, CpuId, PinnedCpu};

/// Interrupts are disabled while it lives, so the code stays on its CPU.
pub(crate) struct Pinned {
    _disabled: irq::Disabled,
    cpu: CpuId,
}

impl Pinned {
    /// Disables interrupts.
    pub(crate) fn new() -> Self {
        let disabled = irq::Disabled::new();
        Self {
            _disabled: disabled,
            cpu: rar_kernel::percpu::this().id(),
        }
    }

    /// Returns the proof that the code runs on this CPU.
    pub(crate) fn cpu(&self) -> PinnedCpu<'_> {
        PinnedCpu::from_guard(self)
    }
}

// SAFETY: 1. Interrupts are disabled while a value lives, this kernel moves no code otherwise, and
// the type is not `Send`.
// 2. The number was read after that.
unsafe impl CpuGuard for Pinned {
    fn cpu(&self) -> CpuId {
        self.cpu
    }
}
