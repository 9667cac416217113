//! `IA32_CORE_CAPABILITIES`, the register that says whether a CPU has RAR.

use core::fmt;

use tock_registers::LocalRegisterCopy;

use crate::{Cpuid, MsrAccess, SupportError, msr};
use fields::CORE_CAPABILITIES;

/// `IA32_CORE_CAPABILITIES`: which of some model-specific features this CPU has. Read-only.
///
/// Address and the RAR bit: Intel TDX module source, Linux RFC v4 (code). Intel says that bits of
/// this register are model-specific and to be trusted only after a check of the CPU model (Linux
/// commit 48fd5b5ee714, documented); [`Detection`](crate::Detection) does that check.
#[doc(alias = "IA32_CORE_CAPABILITIES")]
#[doc(alias = "MSR_IA32_CORE_CAPS")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CoreCapabilities(u64);

impl CoreCapabilities {
    /// The address of the register.
    pub const MSR: u32 = 0xcf;

    /// The bits with no meaning that we know: 63:9.
    ///
    /// Intel adds features here from one model to the next, so a set bit is not an error.
    pub const RESERVED: u64 = 0xffff_ffff_ffff_fe00;

    /// Returns the register as this CPU shows it.
    ///
    /// Needs no proof: it asks CPUID first and reads nothing if the register does not exist.
    ///
    /// # Errors
    ///
    /// [`SupportError::NoFeatureLeaf`] and [`SupportError::NoCoreCapabilities`] if CPUID does not
    /// announce the register, [`SupportError::Fault`] if it raised #GP(0) all the same.
    pub fn read<C: MsrAccess + Cpuid + ?Sized>(cpu: &C) -> Result<Self, SupportError> {
        msr::read_core_capabilities(cpu)
    }

    /// Returns the register with this content.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the content.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns whether the CPU says that it has RAR (bit 1).
    #[doc(alias = "CORE_CAP_RAR")]
    #[must_use]
    pub fn has_rar(self) -> bool {
        self.register().is_set(CORE_CAPABILITIES::RAR)
    }

    /// Returns the bits that are set among [`RESERVED`](Self::RESERVED).
    #[must_use]
    pub const fn reserved_bits(self) -> u64 {
        self.0 & Self::RESERVED
    }

    const fn register(self) -> LocalRegisterCopy<u64, CORE_CAPABILITIES::Register> {
        LocalRegisterCopy::new(self.0)
    }
}

impl fmt::Debug for CoreCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CoreCapabilities({:#x})", self.0)
    }
}

mod fields {
    tock_registers::register_bitfields![u64,
        pub(super) CORE_CAPABILITIES [
            STLB_QOS OFFSET(0) NUMBITS(1) [],
            RAR OFFSET(1) NUMBITS(1) [],
            FUSA OFFSET(2) NUMBITS(1) [],
            RSM_IN_CPL0_ONLY OFFSET(3) NUMBITS(1) [],
            UC_LOCK_DISABLE OFFSET(4) NUMBITS(1) [],
            SPLIT_LOCK_DISABLE OFFSET(5) NUMBITS(1) [],
            SNOOP_FILTER_QOS OFFSET(6) NUMBITS(1) [],
            UC_STORE_THROTTLING OFFSET(7) NUMBITS(1) [],
            LAM OFFSET(8) NUMBITS(1) [],
        ]
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{assert_fills_word, mask};

    #[test]
    fn golden_masks() {
        let fields = [
            mask(CORE_CAPABILITIES::STLB_QOS),
            mask(CORE_CAPABILITIES::RAR),
            mask(CORE_CAPABILITIES::FUSA),
            mask(CORE_CAPABILITIES::RSM_IN_CPL0_ONLY),
            mask(CORE_CAPABILITIES::UC_LOCK_DISABLE),
            mask(CORE_CAPABILITIES::SPLIT_LOCK_DISABLE),
            mask(CORE_CAPABILITIES::SNOOP_FILTER_QOS),
            mask(CORE_CAPABILITIES::UC_STORE_THROTTLING),
            mask(CORE_CAPABILITIES::LAM),
        ];
        assert_eq!(fields, [0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x80, 0x100]);
        assert_fills_word(&fields, CoreCapabilities::RESERVED);
        assert_eq!(CoreCapabilities::MSR, 0xcf);
    }

    #[test]
    fn only_bit_1_means_rar() {
        assert!(CoreCapabilities::from_bits(2).has_rar());
        assert!(!CoreCapabilities::from_bits(!2).has_rar());
    }

    #[test]
    fn unknown_bits_are_reported() {
        assert_eq!(CoreCapabilities::from_bits(0x203).reserved_bits(), 0x200);
        assert_eq!(CoreCapabilities::from_bits(0x1ff).reserved_bits(), 0);
    }
}
