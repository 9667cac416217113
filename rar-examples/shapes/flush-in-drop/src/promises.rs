//! What this kernel promises. Everything else is checked by the compiler.
#![expect(unsafe_code, reason = "memory is freed on the word of these promises")]

use core::marker::PhantomData;

use rar_shape_hardware::this_cpu;
use rar_shootdown::rar_percpu::{CpuGuard, CpuId};

/// While this lives, interrupts are disabled, so nothing moves the code away from this CPU.
#[derive(Debug)]
pub struct InterruptsDisabled {
    cpu: CpuId,
    not_send: PhantomData<*const ()>,
}

/// Disables interrupts: `PUSHF`, `CLI`. The stub's CPUs take an interrupt only where they ask for
/// it.
#[must_use]
pub fn disable_interrupts() -> InterruptsDisabled {
    InterruptsDisabled {
        cpu: CpuId::new(this_cpu()),
        not_send: PhantomData,
    }
}

// SAFETY: 1. no scheduler runs while interrupts are disabled, and the guard is not `Send`; 2. the
// number was read when they were.
unsafe impl CpuGuard for InterruptsDisabled {
    fn cpu(&self) -> CpuId {
        self.cpu
    }
}
