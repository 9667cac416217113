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
    /// `CR4.LA57`, bit 12 (SDM vol. 3, "Control Registers").
    const CR4_LA57: u64 = 1 << 12;

    /// Returns the width that a CPU in 64-bit mode uses while its CR4 holds `cr4`.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_payload::{LinearAddressWidth, PageRange, PageSize};
    ///
    /// let width = LinearAddressWidth::from_cr4(0x1020); // LA57 and PAE
    /// let page = PageRange::page_with_width(0xff11_0000_0000_0000, PageSize::Size4K, width)?;
    /// assert_eq!(page.start(), 0xff11_0000_0000_0000);
    /// # Ok::<(), rar_payload::RangeError>(())
    /// ```
    #[must_use]
    pub const fn from_cr4(cr4: u64) -> Self {
        if cr4 & Self::CR4_LA57 == 0 {
            Self::Bits48
        } else {
            Self::Bits57
        }
    }

    /// Returns the width in bits.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Bits48 => 48,
            Self::Bits57 => 57,
        }
    }

    /// Returns whether `address` is canonical at this width.
    #[must_use]
    #[inline]
    pub const fn is_canonical(self, address: u64) -> bool {
        let unused = 64 - self.bits();
        ((address << unused) as i64 >> unused) as u64 == address
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
    fn la57_alone_selects_the_width() {
        for bit in 0..64 {
            let wide = LinearAddressWidth::from_cr4(1 << bit) == LinearAddressWidth::Bits57;
            let narrow = LinearAddressWidth::from_cr4(!(1 << bit)) == LinearAddressWidth::Bits48;
            assert_eq!((wide, narrow), (bit == 12, bit == 12));
        }
    }

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
