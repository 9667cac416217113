//! Code of the suite in user mode and in a guest.

use rar_kernel::{clock, percpu, println};
use rar_percpu::CpuId;
use rar_suite::{Guest, Page, UserMode};

use super::lab::KernelLab;
use super::test_space::address;
use super::{fault_injection, vmx};

impl Guest for KernelLab {
    fn run(&self, until: &dyn Fn() -> bool) -> bool {
        match vmx::run(until) {
            Ok(()) => true,
            Err(error) => {
                println!("{error}");
                false
            }
        }
    }
}

impl UserMode for KernelLab {
    fn spin(&self, page: Page, value: u64, milliseconds: u64) -> u64 {
        fault_injection::stop_if_wanted();
        let length = milliseconds.saturating_mul(clock::ticks_per_millisecond());
        let deadline = clock::now().saturating_add(length);
        let me = percpu::this().id();
        self.user.spin(me, address(page), value, deadline)
    }

    fn rounds(&self, cpu: CpuId) -> u64 {
        self.user.rounds(cpu)
    }

    fn leave(&self, cpu: CpuId) {
        self.user.end(cpu);
    }
}
