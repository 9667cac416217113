//! CPUs that crash for a test: halted for good as far as the driver knows, until another CPU resets
//! them.

use rar_kernel::{apic, clock, power, smp};
use rar_percpu::CpuId;
use rar_suite::{Crash, DeafTo, Platform as _};

use super::lab::KernelLab;
use super::shim;

/// How long a CPU may take from INIT to its wait for start-up.
const INIT_MILLISECONDS: u64 = 10_000;
/// How long INIT may take on a machine that does not show what it has done.
const SETTLE_MICROSECONDS: u64 = 10_000;

/// Returns why no CPU crashes here.
pub(crate) fn obstacle() -> Option<&'static str> {
    let is_virtual = shim::is_shim() || power::is_qemu();
    (!is_virtual).then_some("no CPU of a real machine is lost for a test")
}

impl Crash for KernelLab {
    fn can_crash(&self, cpu: CpuId) -> bool {
        // The shim holds its guest back after INIT; a boot processor of its own would go back to
        // the firmware.
        cpu.get() != 0 || shim::is_shim()
    }

    fn crash(&self) {
        self.set_deaf_to(DeafTo::Everything);
        smp::crash();
        self.set_deaf_to(DeafTo::Nothing);
    }

    fn has_crashed(&self, cpu: CpuId) -> bool {
        smp::has_crashed(cpu.get())
    }

    fn bury(&self, cpu: CpuId) {
        let Some(id) = smp::apic_id(cpu.get()) else {
            return;
        };
        if let Err(error) = apic::send_init(id) {
            self.give_up(format_args!("INIT for CPU {cpu}: {error}"));
        }
        clock::delay_microseconds(SETTLE_MICROSECONDS);
        let waits = || shim::waits_for_startup(id.get());
        if shim::is_shim() && !clock::wait_until(INIT_MILLISECONDS, waits) {
            self.give_up(format_args!("CPU {cpu} does not take INIT"));
        }
        // SAFETY: 1. and 2. The CPU was halted with interrupts disabled; since INIT it waits for
        // start-up, and so does its unit. `start` lets it go on where it comes online anew.
        unsafe { self.domain().declare_dead(cpu) };
    }

    fn start(&self, cpu: CpuId) {
        let started = smp::cpu(cpu.get()).map(smp::start_crashed);
        if let Some(Err(why)) = started {
            self.give_up(format_args!("CPU {cpu} is lost after INIT: {why}"));
        }
    }
}
