//! The width of linear addresses.

use core::fmt;

/// How many bits of a linear address are translated.
///
/// An address is *canonical* if all bits above are copies of the highest translated one (SDM vol.
/// 1, "Canonical Addressing"). Both halves together leave a hole in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LinearAddressWidth {
    /// Four-level paging.
    Bits48,
    /// Five-level paging, `CR4.LA57` = 1.
    #[doc(alias = "LA57")]
    Bits57,
}

impl LinearAddressWidth {
    /// Returns the width in bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Bits48 => 48,
            Self::Bits57 => 57,
        }
    }

    /// Returns whether `address` is canonical at this width.
    #[must_use]
    pub const fn is_canonical(self, address: u64) -> bool {
        let unused = 64 - self.bits();
        ((address << unused).cast_signed() >> unused).cast_unsigned() == address
    }
}

impl fmt::Display for LinearAddressWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bits", self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::LinearAddressWidth;

    #[test]
    fn the_hole_starts_and_ends_where_it_should() {
        for (width, low_end) in [
            (LinearAddressWidth::Bits48, 1u64 << 47),
            (LinearAddressWidth::Bits57, 1 << 56),
        ] {
            assert!(width.is_canonical(0));
            assert!(width.is_canonical(low_end - 1));
            assert!(!width.is_canonical(low_end));
            assert!(!width.is_canonical(low_end.wrapping_neg() - 1));
            assert!(width.is_canonical(low_end.wrapping_neg()));
            assert!(width.is_canonical(u64::MAX));
        }
    }
}
