//! CPUs that crash, on the simulated machine.

use std::sync::atomic::{AtomicBool, Ordering};

use rar_percpu::CpuId;
use rar_suite::{Crash, Platform as _};

use super::SimPlatform;
use crate::schedule::yield_now;

impl SimPlatform<'_> {
    fn crashed(&self, cpu: u32) -> &AtomicBool {
        #[expect(clippy::indexing_slicing, reason = "one for each CPU of the machine")]
        &self.crashed[cpu as usize]
    }
}

impl Crash for SimPlatform<'_> {
    fn can_crash(&self, _: CpuId) -> bool {
        true
    }

    fn crash(&self) {
        let (me, cpu) = (self.me(), self.cpu());
        self.machine().drain_stores(me);
        let interrupts = cpu.set_interrupts(false);
        cpu.set_dead(true);
        self.crashed(me).store(true, Ordering::Release);
        while self.has_crashed(CpuId::new(me)) {
            yield_now();
        }
        cpu.set_dead(false);
        self.machine().forget_interrupts(me);
        self.flush_own_tlb();
        cpu.set_interrupts(interrupts);
    }

    fn has_crashed(&self, cpu: CpuId) -> bool {
        self.crashed(cpu.get()).load(Ordering::Acquire)
    }

    #[expect(unsafe_code, reason = "the kernel's promise of Domain::declare_dead")]
    fn bury(&self, cpu: CpuId) {
        let machine = self.machine();
        machine.cpu(cpu.get()).with_unit(|unit| unit.init());
        // SAFETY: 1. and 2. A dead CPU executes nothing, and its unit does nothing.
        unsafe { machine.domain().declare_dead(cpu) };
    }

    fn start(&self, cpu: CpuId) {
        self.crashed(cpu.get()).store(false, Ordering::Release);
    }
}
