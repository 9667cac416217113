//! The error of a CPU number that a set cannot hold.

use crate::cpu_id::CpuId;
use crate::cpu_set::CpuSet;

/// A CPU number that a set of this size cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CpuOutOfRange {
    /// The CPU that was to be added.
    pub cpu: CpuId,
    /// How many CPUs the set can name.
    pub capacity: usize,
}

impl CpuOutOfRange {
    pub(crate) fn new<const WORDS: usize>(cpu: CpuId) -> Self {
        Self {
            cpu,
            capacity: CpuSet::<WORDS>::CAPACITY,
        }
    }
}

impl core::fmt::Display for CpuOutOfRange {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "CPU {} does not fit a set of {} CPUs; use a larger WORDS",
            self.cpu, self.capacity
        )
    }
}

impl core::error::Error for CpuOutOfRange {}
