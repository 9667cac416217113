//! The number by which the interrupt hardware knows a CPU.

use core::fmt;

/// The local APIC ID of a logical processor, as firmware reports it in the MADT and CPUID in leaf
/// 0xb.
///
/// 32 bits wide in x2APIC mode, 8 bits in xAPIC mode. It is not an index: the numbers of a machine
/// have gaps. Every value can be held here, the broadcast addresses too; the interrupt command
/// words refuse those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ApicId(u32);

impl ApicId {
    /// The physical destination that an xAPIC takes as "all CPUs" (SDM vol. 3, Physical Destination
    /// Mode).
    pub const XAPIC_BROADCAST: Self = Self(0xff);

    /// The destination that an x2APIC takes as "all CPUs" (SDM vol. 3, x2APIC ICR operation).
    pub const X2APIC_BROADCAST: Self = Self(0xffff_ffff);

    /// Returns the ID with this number.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl From<u32> for ApicId {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl From<ApicId> for u32 {
    fn from(id: ApicId) -> Self {
        id.0
    }
}

impl fmt::Display for ApicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "APIC id {:#x}", self.0)
    }
}
