//! `MSR_RAR_INFO`: the size of the payload table and the payload types.

use core::fmt;

use tock_registers::LocalRegisterCopy;

use crate::msr::{self, RarMsr};
use crate::{MsrAccess, RarSupport, ReadError};
use fields::RAR_INFO;

/// `MSR_RAR_INFO`: how many payload table entries this CPU scans, and which payload types it knows.
/// Read-only.
///
/// Address and name: SDM vol. 4, Table 2-52; bits 37:32: Linux RFC v4 (code) and its review
/// (documented); bits 31:0: SDM vol. 4 (from memory, to be checked; no Linux code reads them).
#[doc(alias = "MSR_RAR_INFO")]
#[doc(alias = "MSR_IA32_RAR_INFO")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RarInfo(u64);

impl RarInfo {
    /// The address of the register.
    pub const MSR: u32 = RarMsr::Info as u32;

    /// The reserved bits: 63:38. They read as zero (SDM vol. 4, from memory, to be checked).
    pub const RESERVED: u64 = 0xffff_ffc0_0000_0000;

    /// Returns the register of the executing CPU.
    ///
    /// # Errors
    ///
    /// [`ReadError::ReservedBits`] if a reserved bit is set, [`ReadError::Fault`] if the read
    /// raised #GP(0).
    pub fn read<A: MsrAccess + ?Sized>(
        access: &A,
        support: &RarSupport,
    ) -> Result<Self, ReadError> {
        msr::read_defined(access, support.exists(), RarMsr::Info, Self::RESERVED).map(Self)
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

    /// Returns the highest index of a payload table entry, 0 to 63.
    #[must_use]
    pub fn highest_index(self) -> u8 {
        self.register().read(RAR_INFO::HIGHEST_INDEX).to_le_bytes()[0]
    }

    /// Returns the number of payload table entries, 1 to 64: one more than the highest index.
    #[doc(alias = "RAR_INFO_MAX_MASK")]
    #[must_use]
    pub fn entries(self) -> u8 {
        self.highest_index() + 1
    }

    /// Returns the payload types, bit `t` for type `t`. Zero says nothing: the types are then
    /// unknown.
    #[must_use]
    pub fn payload_types(self) -> u32 {
        let [a, b, c, d, ..] = self.register().read(RAR_INFO::PAYLOAD_TYPES).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// Returns whether the CPU lists a payload type, or `None` if it lists none at all.
    #[must_use]
    pub fn supports(self, payload_type: u8) -> Option<bool> {
        match self.payload_types() {
            0 => None,
            types => Some(types.checked_shr(u32::from(payload_type)).unwrap_or(0) & 1 == 1),
        }
    }

    /// Returns the bits that are set among [`RESERVED`](Self::RESERVED).
    #[must_use]
    pub const fn reserved_bits(self) -> u64 {
        self.0 & Self::RESERVED
    }

    const fn register(self) -> LocalRegisterCopy<u64, RAR_INFO::Register> {
        LocalRegisterCopy::new(self.0)
    }
}

impl fmt::Debug for RarInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RarInfo({:#x})", self.0)
    }
}

mod fields {
    tock_registers::register_bitfields![u64,
        pub(super) RAR_INFO [
            PAYLOAD_TYPES OFFSET(0) NUMBITS(32) [],
            HIGHEST_INDEX OFFSET(32) NUMBITS(6) [],
        ]
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{assert_fills_word, mask};
    use crate::{Detection, FakeCpu};

    #[test]
    fn golden_masks() {
        let fields = [mask(RAR_INFO::PAYLOAD_TYPES), mask(RAR_INFO::HIGHEST_INDEX)];
        assert_eq!(fields, [0xffff_ffff, 0x3f_0000_0000]);
        assert_fills_word(&fields, RarInfo::RESERVED);
        assert_eq!(RarInfo::MSR, 0xf0);
    }

    #[test]
    fn entries_are_one_more_than_the_highest_index() {
        for index in 0..64_u8 {
            let info = RarInfo::from_bits(u64::from(index) << 32 | 0xffff_ffff);
            assert_eq!((info.highest_index(), info.entries()), (index, index + 1));
        }
        assert_eq!(RarInfo::from_bits(u64::MAX).entries(), 64);
    }

    #[test]
    fn an_empty_list_of_types_is_unknown_not_none() {
        assert_eq!(RarInfo::from_bits(63 << 32).supports(0), None);
        let info = RarInfo::from_bits(63 << 32 | 0x8000_0005);
        assert_eq!(info.payload_types(), 0x8000_0005);
        assert_eq!(
            [0, 1, 2, 31].map(|payload_type| info.supports(payload_type)),
            [Some(true), Some(false), Some(true), Some(true)]
        );
        assert_eq!(info.supports(32), Some(false));
        assert_eq!(info.supports(255), Some(false));
    }

    #[test]
    fn read_reports_reserved_bits() {
        let cpu = FakeCpu::with_rar(63);
        let support = Detection::new().detect(&cpu).unwrap();
        assert_eq!(RarInfo::read(&cpu, &support), Ok(support.info()));
        let value = 0x7f_0000_0000;
        cpu.set_msr(RarInfo::MSR, value).unwrap();
        assert_eq!(
            RarInfo::read(&cpu, &support),
            Err(ReadError::ReservedBits {
                msr: 0xf0,
                value,
                reserved: 0x40_0000_0000
            })
        );
    }
}
