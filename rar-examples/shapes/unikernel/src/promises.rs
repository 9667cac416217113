//! What this kernel promises. Everything else is checked by the compiler.
#![expect(unsafe_code, reason = "memory is freed on the word of these promises")]

use core::marker::PhantomData;

use rar_shape_hardware::{Tlb, this_cpu};
use rar_shootdown::rar_percpu::{CpuGuard, CpuId, PinnedCpu};

use crate::flush::SHOOTDOWN;

/// While this lives, interrupts are disabled, so nothing moves the code away from this core.
#[derive(Debug)]
pub struct WithoutInterrupts {
    core: CpuId,
    not_send: PhantomData<*const ()>,
}

/// Disables interrupts. The stub's cores take an interrupt only where they ask for it.
#[must_use]
pub fn without_interrupts() -> WithoutInterrupts {
    WithoutInterrupts {
        core: CpuId::new(this_cpu()),
        not_send: PhantomData,
    }
}

// SAFETY: 1. no scheduler runs while interrupts are disabled, and the guard is not `Send`; 2. the
// number was read when they were.
unsafe impl CpuGuard for WithoutInterrupts {
    fn cpu(&self) -> CpuId {
        self.core
    }
}

/// Puts this core into lazy TLB mode, as an idle loop that was written for another kernel does.
pub fn enter_idle() {
    let guard = without_interrupts();
    // SAFETY: 1. `SHOOTDOWN` has the default policy, which counts nothing as user memory and skips
    // this core for no flush.
    unsafe {
        SHOOTDOWN
            .domain()
            .enter_lazy(&PinnedCpu::from_guard(&guard))
    }
}

/// Ends the mode.
pub fn leave_idle() {
    let guard = without_interrupts();
    let cpu = PinnedCpu::from_guard(&guard);
    let _ = SHOOTDOWN.domain().leave_lazy(&cpu, &Tlb);
}
