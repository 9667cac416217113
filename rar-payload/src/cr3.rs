//! CR3 values.

use core::fmt;

/// A CR3 value to be matched: bits 51:0, the rest zero.
///
/// Neither the no-flush bit (63) nor the LAM bits (62:61) belong to it. Which of the low bits a
/// processor compares (PCID, PWT, PCD) is unknown; Intel's own Linux branch of 2019 stored the raw
/// CR3, with PCIDs off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cr3(u64);

impl Cr3 {
    /// Returns this CR3 value.
    ///
    /// # Errors
    ///
    /// [`Cr3Error`] if one of the bits 63:52 is set.
    pub const fn new(value: u64) -> Result<Self, Cr3Error> {
        if value >> 52 != 0 {
            return Err(Cr3Error { value });
        }
        Ok(Self(value))
    }

    /// Returns the value, bits 63:52 zero.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A number with one of the bits 63:52 set cannot be matched with CR3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Cr3Error {
    /// The number as given.
    pub value: u64,
}

impl fmt::Display for Cr3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CR3 {:#x}: bits 63:52 are set (expected 0); clear the no-flush bit and the LAM bits",
            self.value
        )
    }
}

impl core::error::Error for Cr3Error {}

#[cfg(test)]
mod tests {
    use super::{Cr3, Cr3Error};

    #[test]
    fn exactly_the_low_52_bits_are_accepted() {
        for bit in 0..64 {
            let value = 1u64 << bit;
            let expected = if bit < 52 {
                Ok(value)
            } else {
                Err(Cr3Error { value })
            };
            assert_eq!(Cr3::new(value).map(Cr3::get), expected);
        }
    }
}
