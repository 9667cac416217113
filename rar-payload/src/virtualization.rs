//! The scopes of INVEPT and INVVPID entries. Feature `unverified`.

use core::fmt;

use crate::PageChunk;

/// What an INVEPT entry invalidates.
///
/// The subtypes are those of the INVEPT instruction, by inference only: no public code sends this
/// type. Do not send it without Intel 341431 in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InveptScope {
    /// Subtype 1: one extended page table.
    Context {
        /// The extended page table.
        eptp: Eptp,
    },
    /// Subtype 2: every extended page table.
    Global,
}

/// What an INVVPID entry invalidates.
///
/// The subtypes are those of the INVVPID instruction, by inference only: no public code sends this
/// type. Do not send it without Intel 341431 in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvvpidScope {
    /// Subtype 0: some pages of one VPID.
    Pages {
        /// The virtual processor.
        vpid: Vpid,
        /// The pages, by guest linear address.
        pages: PageChunk,
    },
    /// Subtype 1: all of one VPID.
    Context {
        /// The virtual processor.
        vpid: Vpid,
    },
    /// Subtype 2: every VPID but 0.
    AllContexts,
    /// Subtype 3: all of one VPID but its global translations.
    ContextKeepingGlobals {
        /// The virtual processor.
        vpid: Vpid,
    },
}

/// An extended-page-table pointer that a VM entry would accept.
///
/// Its fields (SDM vol. 3, "Extended-Page-Table Pointer (EPTP)"): bits 2:0 memory type of the
/// tables, bits 5:3 levels minus 1, bit 6 accessed and dirty flags, bit 7 supervisor shadow-stack
/// control, bits 51:12 address of the top table.
///
/// # Examples
///
/// ```
/// use rar_payload::{Eptp, EptpError};
///
/// assert!(Eptp::new(0x1234_501e).is_ok()); // write-back, 4 levels
/// assert!(Eptp::new(0x1234_5018).is_ok()); // uncacheable, 4 levels
/// let error = Eptp::new(0x1234_5006).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "EPTP 0x12345006: page walk of the wrong length (got 1 level, expected 4 or 5); \
///      set bits 5:3 to 3 or 4"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Eptp(u64);

impl Eptp {
    /// Bits 63:52 and 11:8, which have to be zero.
    const RESERVED: u64 = 0xfff0_0000_0000_0f00;

    /// Returns this pointer.
    ///
    /// # Errors
    ///
    /// - [`EptpError::ReservedBits`] if one of the bits 63:52 or 11:8 is set.
    /// - [`EptpError::MemoryType`] if bits 2:0 are neither 0 (uncacheable) nor 6 (write-back).
    /// - [`EptpError::WalkLength`] if bits 5:3 are neither 3 (4 levels) nor 4 (5 levels).
    pub const fn new(value: u64) -> Result<Self, EptpError> {
        let bits = value & Self::RESERVED;
        if bits != 0 {
            return Err(EptpError::ReservedBits { value, bits });
        }
        let [low, ..] = value.to_le_bytes();
        let memory_type = low & 0b111;
        if !matches!(memory_type, 0 | 6) {
            return Err(EptpError::MemoryType { value, memory_type });
        }
        let levels = (low >> 3 & 0b111) + 1;
        if !matches!(levels, 4 | 5) {
            return Err(EptpError::WalkLength { value, levels });
        }
        Ok(Self(value))
    }

    /// Returns the value.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The reason why a number is not an extended-page-table pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EptpError {
    /// Bits that have to be zero are set.
    ReservedBits {
        /// The number as given.
        value: u64,
        /// Those of its bits that are reserved.
        bits: u64,
    },
    /// No page table can have this memory type.
    MemoryType {
        /// The number as given.
        value: u64,
        /// Bits 2:0 of it.
        memory_type: u8,
    },
    /// No page walk has this many levels.
    WalkLength {
        /// The number as given.
        value: u64,
        /// Bits 5:3 of it, plus 1.
        levels: u8,
    },
}

impl fmt::Display for EptpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ReservedBits { value, bits } => write!(
                f,
                "EPTP {value:#x}: reserved bits set (got {bits:#x}, expected 0); \
                 clear bits 63:52 and 11:8"
            ),
            Self::MemoryType { value, memory_type } => write!(
                f,
                "EPTP {value:#x}: unknown memory type (got {memory_type}, expected 0 or 6); \
                 set bits 2:0 to 6 for write-back tables"
            ),
            Self::WalkLength { value, levels } => write!(
                f,
                "EPTP {value:#x}: page walk of the wrong length (got {levels} level{}, \
                 expected 4 or 5); set bits 5:3 to 3 or 4",
                if levels == 1 { "" } else { "s" }
            ),
        }
    }
}

impl core::error::Error for EptpError {}

/// A virtual-processor identifier, 1 to 65535. The INVVPID instruction fails for 0 (SDM vol. 3,
/// "INVVPID").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Vpid(u16);

impl Vpid {
    /// Returns the VPID of this number.
    ///
    /// # Errors
    ///
    /// [`VpidError`] if the number is 0.
    pub const fn new(value: u16) -> Result<Self, VpidError> {
        if value == 0 {
            return Err(VpidError);
        }
        Ok(Self(value))
    }

    /// Returns the number, never 0.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// 0 is not a VPID that can be invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct VpidError;

impl fmt::Display for VpidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VPID: number too small (got 0, expected 1 to 65535)")
    }
}

impl core::error::Error for VpidError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Eptp, EptpError, Vpid, VpidError};
    use std::string::ToString;

    #[test]
    fn an_eptp_has_52_bits_without_11_to_8() {
        for bit in 6..64 {
            let value = 1u64 << bit | 0x1e;
            let expected = if matches!(bit, 8..=11 | 52..) {
                let bits = 1 << bit;
                Err(EptpError::ReservedBits { value, bits })
            } else {
                Ok(value)
            };
            assert_eq!(Eptp::new(value).map(Eptp::get), expected);
        }
    }

    #[test]
    fn an_eptp_has_two_memory_types_and_two_walk_lengths() {
        for low in 0..64u8 {
            let value = 0x7000 | u64::from(low);
            let (memory_type, levels) = (low & 7, (low >> 3) + 1);
            let expected = if !matches!(memory_type, 0 | 6) {
                Err(EptpError::MemoryType { value, memory_type })
            } else if !matches!(levels, 4 | 5) {
                Err(EptpError::WalkLength { value, levels })
            } else {
                Ok(value)
            };
            assert_eq!(Eptp::new(value).map(Eptp::get), expected);
        }
    }

    #[test]
    fn errors_say_what_they_got_and_what_to_do() {
        let words = |value| Eptp::new(value).unwrap_err().to_string();
        assert_eq!(
            words(0x701d),
            "EPTP 0x701d: unknown memory type (got 5, expected 0 or 6); \
             set bits 2:0 to 6 for write-back tables"
        );
        assert_eq!(
            words(0x702e),
            "EPTP 0x702e: page walk of the wrong length (got 6 levels, expected 4 or 5); \
             set bits 5:3 to 3 or 4"
        );
        assert_eq!(
            words(0xf1e),
            "EPTP 0xf1e: reserved bits set (got 0xf00, expected 0); clear bits 63:52 and 11:8"
        );
    }

    #[test]
    fn vpid_zero_is_refused() {
        assert_eq!(Vpid::new(0), Err(VpidError));
        assert_eq!(Vpid::new(1).map(Vpid::get), Ok(1));
        assert_eq!(Vpid::new(u16::MAX).map(Vpid::get), Ok(u16::MAX));
    }
}
