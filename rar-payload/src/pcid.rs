//! Process-context identifiers.

use core::fmt;

/// A process-context identifier, 0 to 4095.
///
/// PCID 0 is an ordinary one here: it can be targeted like any other and never means "the kernel"
/// or "all". With `CR4.PCIDE` = 0 it is the only PCID in use (SDM vol. 3, "Process-Context
/// Identifiers (PCIDs)").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pcid(u16);

impl Pcid {
    /// PCID 0.
    pub const ZERO: Self = Self(0);
    /// The largest PCID, 4095.
    pub const MAX: Self = Self(0xfff);

    /// Returns the PCID of this number.
    ///
    /// # Errors
    ///
    /// [`PcidError`] if the number is above 4095.
    pub const fn new(value: u16) -> Result<Self, PcidError> {
        if value > Self::MAX.0 {
            return Err(PcidError { value });
        }
        Ok(Self(value))
    }

    /// Returns the number, 0 to 4095.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A number above 4095 is not a PCID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct PcidError {
    /// The number as given.
    pub value: u16,
}

impl fmt::Display for PcidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PCID: number too large (got {}, expected at most {}); mask it with 0xfff",
            self.value,
            Pcid::MAX.0
        )
    }
}

impl core::error::Error for PcidError {}

#[cfg(test)]
mod tests {
    use super::{Pcid, PcidError};

    const LAST: Result<Pcid, PcidError> = Pcid::new(4095);

    #[test]
    fn exactly_the_twelve_bit_numbers_are_pcids() {
        for value in 0..=u16::MAX {
            let expected = if value < 4096 {
                Ok(value)
            } else {
                Err(PcidError { value })
            };
            assert_eq!(Pcid::new(value).map(Pcid::get), expected);
        }
        assert_eq!(LAST, Ok(Pcid::MAX));
        assert_eq!(Pcid::ZERO.get(), 0);
    }
}
