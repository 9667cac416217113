//! The scopes of INVEPT and INVVPID entries. Feature `unverified`.

use crate::PageChunk;
use core::fmt;

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

/// An extended-page-table pointer: bits 51:0, the rest zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Eptp(u64);

impl Eptp {
    /// Returns this pointer.
    ///
    /// # Errors
    ///
    /// [`EptpError`] if one of the bits 63:52 is set.
    pub const fn new(value: u64) -> Result<Self, EptpError> {
        if value >> 52 != 0 {
            return Err(EptpError { value });
        }
        Ok(Self(value))
    }

    /// Returns the value, bits 63:52 zero.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A number with one of the bits 63:52 set is no extended-page-table pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EptpError {
    /// The number as given.
    pub value: u64,
}

impl fmt::Display for EptpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:#x} is no extended-page-table pointer: bits 63:52 have to be zero",
            self.value
        )
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

/// 0 is no VPID to invalidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VpidError;

impl fmt::Display for VpidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0 is no VPID to invalidate")
    }
}

impl core::error::Error for VpidError {}

#[cfg(test)]
mod tests {
    use super::{Eptp, EptpError, Vpid, VpidError};

    #[test]
    fn eptp_has_52_bits() {
        for bit in 0..64 {
            let value = 1u64 << bit;
            let expected = if bit < 52 {
                Ok(value)
            } else {
                Err(EptpError { value })
            };
            assert_eq!(Eptp::new(value).map(Eptp::get), expected);
        }
    }

    #[test]
    fn vpid_zero_is_refused() {
        assert_eq!(Vpid::new(0), Err(VpidError));
        assert_eq!(Vpid::new(1).map(Vpid::get), Ok(1));
        assert_eq!(Vpid::new(u16::MAX).map(Vpid::get), Ok(u16::MAX));
    }
}
