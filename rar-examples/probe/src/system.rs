//! What the probe needs of the system that it runs on.

use std::collections::BTreeMap;
use std::fmt;

use rar_regs::Cpuid;

use crate::Obstacle;

/// The number that the kernel gives to a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuNumber(pub u32);

impl fmt::Display for CpuNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a register has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// RDMSR raised #GP(0).
    Raised,
    /// The kernel did not execute RDMSR.
    Obstacle(Obstacle),
}

/// A system whose CPUs can be asked. It offers no way to write a register.
pub trait System {
    /// CPUID of one CPU.
    type Cpuid: Cpuid;

    /// Returns the CPUs that are online.
    ///
    /// # Errors
    ///
    /// [`Obstacle`]: the kernel does not list them.
    fn online(&self) -> Result<Vec<CpuNumber>, Obstacle>;

    /// Returns the CPUs that are there and not online, as far as the kernel shows them. They are
    /// not asked.
    fn offline(&self) -> Vec<CpuNumber>;

    /// Returns the microcode revisions, as far as the kernel shows them.
    fn microcode(&self) -> BTreeMap<CpuNumber, u64>;

    /// Runs `work` on one CPU, with the CPUID instruction of that CPU.
    ///
    /// # Errors
    ///
    /// [`Obstacle`]: this process may not run there.
    fn on_cpu<T: Send>(
        &self,
        cpu: CpuNumber,
        work: impl FnOnce(&Self::Cpuid) -> T + Send,
    ) -> Result<T, Obstacle>;

    /// Returns the value of a register of one CPU.
    ///
    /// # Errors
    ///
    /// [`NotRead`], with the reason.
    fn read_msr(&self, cpu: CpuNumber, msr: u32) -> Result<u64, NotRead>;
}
