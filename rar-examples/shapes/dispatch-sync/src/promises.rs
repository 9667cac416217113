//! What this kernel promises. Everything else is checked by the compiler.
#![expect(unsafe_code, reason = "memory is freed on the word of these promises")]

use core::marker::PhantomData;

use rar_shape_hardware::this_cpu;
use rar_shootdown::rar_percpu::{CpuGuard, CpuId};

/// While this lives, the scheduler moves no code away from this CPU.
#[derive(Debug)]
pub struct DisabledPreemption {
    cpu: CpuId,
    not_send: PhantomData<*const ()>,
}

/// Disables preemption. A kernel counts in its per-CPU memory here; the stub has no scheduler.
#[must_use]
pub fn disable_preemption() -> DisabledPreemption {
    DisabledPreemption {
        cpu: CpuId::new(this_cpu()),
        not_send: PhantomData,
    }
}

// SAFETY: 1. preemption is disabled while the guard lives, and the guard is not `Send`; 2. the
// number was read when it was disabled.
unsafe impl CpuGuard for DisabledPreemption {
    fn cpu(&self) -> CpuId {
        self.cpu
    }
}
