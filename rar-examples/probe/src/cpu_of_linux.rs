//! One CPU of a system, as `rar-regs` asks for it.

use std::cell::RefCell;

use rar_regs::{Cpuid, CpuidResult, MsrAccess, MsrFault, MsrOperation};

use crate::{CpuNumber, NotRead, Obstacle, System};

/// The registers and the CPUID of the CPU on which the probe runs at the moment.
pub(crate) struct CpuOfLinux<'s, S: System> {
    system: &'s S,
    number: CpuNumber,
    cpuid: &'s S::Cpuid,
    obstacle: RefCell<Option<Obstacle>>,
}

impl<'s, S: System> CpuOfLinux<'s, S> {
    /// Returns the CPU. `cpuid` is what [`System::on_cpu`] gave for the same number.
    pub(crate) fn new(system: &'s S, number: CpuNumber, cpuid: &'s S::Cpuid) -> Self {
        Self {
            system,
            number,
            cpuid,
            obstacle: RefCell::new(None),
        }
    }

    /// Returns what made the last failed read fail, if that was not the processor, and forgets it.
    pub(crate) fn take_obstacle(&self) -> Option<Obstacle> {
        self.obstacle.take()
    }
}

// SAFETY: 1. the kernel executes RDMSR on the CPU of that number, and the value exists only while
// the probe runs there, so this is the executing CPU; 2. no write ever returns `Ok`; 3. the kernel
// catches the exception, and `read` reports it, and whatever else goes wrong, as a fault; 4. a call
// of the kernel lets the compiler move no memory access that matters, and nothing here gives memory
// to RAR; 5. no exception can come out of `read`.
unsafe impl<S: System> MsrAccess for CpuOfLinux<'_, S> {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        self.system.read_msr(self.number, msr).map_err(|reason| {
            if let NotRead::Obstacle(obstacle) = reason {
                self.obstacle.replace(Some(obstacle));
            }
            MsrFault {
                msr,
                access: MsrOperation::Read,
            }
        })
    }

    unsafe fn write(&self, msr: u32, _value: u64) -> Result<(), MsrFault> {
        Err(MsrFault {
            msr,
            access: MsrOperation::Write,
        })
    }
}

impl<S: System> Cpuid for CpuOfLinux<'_, S> {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        self.cpuid.cpuid(leaf, subleaf)
    }
}
