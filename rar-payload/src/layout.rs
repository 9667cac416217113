//! The field table of the payload entry, declared once.

use core::fmt;

/// A field of the 64-byte entry, as the invalidation types lay it out.
///
/// The ten fields cover quadwords 0 to 3, each bit once. Quadwords 4 to 7 belong to software and
/// have no field.
///
/// Source: the bit fields of Linux RFC v4 and the shifts of Intel's own Linux branch of 2019 agree
/// on every position; this is code that ran on silicon. The text of Intel 341431 is not
/// public, so the two cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Field {
    /// Quadword 0, bits 7:0: free for software (`for_sw` in Linux).
    ForSoftware,
    /// Quadword 0, bits 15:8: the payload type, which names the imitated instruction.
    PayloadType,
    /// Quadword 0, bits 31:16: must be zero.
    ReservedLow,
    /// Quadword 0, bits 34:32: the subtype, the scope within a type.
    Subtype,
    /// Quadword 0, bits 36:35: the page size (stride) code; 3 is undefined.
    PageSize,
    /// Quadword 0, bits 42:37: the number of pages, a plain count.
    PageCount,
    /// Quadword 0, bits 63:43: must be zero.
    ReservedHigh,
    /// Quadword 1: must be zero.
    ReservedWord,
    /// Quadword 2: CR3, PCID, EPTP or VPID, according to the type.
    Operand,
    /// Quadword 3: the linear address of the first page.
    Address,
}

impl Field {
    /// Every field, in the order of its position.
    pub const ALL: [Self; 10] = [
        Self::ForSoftware,
        Self::PayloadType,
        Self::ReservedLow,
        Self::Subtype,
        Self::PageSize,
        Self::PageCount,
        Self::ReservedHigh,
        Self::ReservedWord,
        Self::Operand,
        Self::Address,
    ];

    /// The table: quadword, lowest bit, first bit above.
    #[inline]
    const fn place(self) -> (usize, usize, usize) {
        match self {
            Self::ForSoftware => (0, 0, 8),
            Self::PayloadType => (0, 8, 16),
            Self::ReservedLow => (0, 16, 32),
            Self::Subtype => (0, 32, 35),
            Self::PageSize => (0, 35, 37),
            Self::PageCount => (0, 37, 43),
            Self::ReservedHigh => (0, 43, 64),
            Self::ReservedWord => (1, 0, 64),
            Self::Operand => (2, 0, 64),
            Self::Address => (3, 0, 64),
        }
    }

    /// Returns the quadword that holds the field, 0 to 3.
    #[must_use]
    #[inline]
    pub const fn word(self) -> usize {
        self.place().0
    }

    /// Returns the field's bits within its quadword, exclusive end.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> core::ops::Range<usize> {
        let (_, low, end) = self.place();
        low..end
    }

    /// Returns the field's bits as a mask over its quadword.
    #[must_use]
    #[inline]
    pub const fn mask(self) -> u64 {
        let (_, low, end) = self.place();
        (u64::MAX >> (64 - (end - low))) << low
    }

    /// Returns `value` moved to the field's place; bits that do not fit are cut.
    #[inline]
    pub(crate) const fn shifted(self, value: u64) -> u64 {
        let (_, low, _) = self.place();
        (value << low) & self.mask()
    }

    /// Returns the field's value in its quadword, moved down to bit 0.
    #[inline]
    pub(crate) const fn value(self, word: u64) -> u64 {
        let (_, low, _) = self.place();
        (word & self.mask()) >> low
    }

    /// Returns the field's name in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForSoftware => "software byte",
            Self::PayloadType => "payload type",
            Self::ReservedLow | Self::ReservedHigh | Self::ReservedWord => "reserved field",
            Self::Subtype => "subtype",
            Self::PageSize => "page size",
            Self::PageCount => "number of pages",
            Self::Operand => "operand",
            Self::Address => "linear address",
        }
    }
}

/// The name and the place, such as `page size (quadword 0, bits 36:35)`.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, low, end) = self.place();
        write!(
            f,
            "{} (quadword {word}, bits {}:{low})",
            self.name(),
            end - 1
        )
    }
}

#[cfg(not(rar_loom))]
mod asserts {
    use super::Field;
    use crate::Payload;
    use core::mem::{align_of, offset_of};
    use static_assertions::{assert_eq_size, const_assert_eq};

    assert_eq_size!(Payload, [u8; 64]);
    const_assert_eq!(align_of::<Payload>(), 64);
    const_assert_eq!(offset_of!(Payload, 0), 0);

    // Byte offsets of the quadwords that hardware reads.
    const_assert_eq!(Field::PayloadType.word() * 8, 0);
    const_assert_eq!(Field::ReservedWord.word() * 8, 8);
    const_assert_eq!(Field::Operand.word() * 8, 16);
    const_assert_eq!(Field::Address.word() * 8, 24);

    // Bit positions within quadword 0.
    const_assert_eq!(Field::ForSoftware.mask(), 0x0000_0000_0000_00ff);
    const_assert_eq!(Field::PayloadType.mask(), 0x0000_0000_0000_ff00);
    const_assert_eq!(Field::ReservedLow.mask(), 0x0000_0000_ffff_0000);
    const_assert_eq!(Field::Subtype.mask(), 0x0000_0007_0000_0000);
    const_assert_eq!(Field::PageSize.mask(), 0x0000_0018_0000_0000);
    const_assert_eq!(Field::PageCount.mask(), 0x0000_07e0_0000_0000);
    const_assert_eq!(Field::ReservedHigh.mask(), 0xffff_f800_0000_0000);
    const_assert_eq!(Field::ReservedWord.mask(), u64::MAX);
    const_assert_eq!(Field::Operand.mask(), u64::MAX);
    const_assert_eq!(Field::Address.mask(), u64::MAX);
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Field;
    use std::string::ToString;

    #[test]
    fn fields_cover_four_quadwords_without_overlap() {
        let mut seen = [0u64; 4];
        for field in Field::ALL {
            assert_eq!(seen[field.word()] & field.mask(), 0, "{field} overlaps");
            seen[field.word()] |= field.mask();
        }
        assert_eq!(seen, [u64::MAX; 4]);
    }

    #[test]
    fn a_shifted_value_stays_in_its_field() {
        for field in Field::ALL {
            assert_eq!(field.shifted(u64::MAX), field.mask(), "{field}");
        }
    }

    #[test]
    fn display_names_the_place() {
        assert_eq!(
            Field::PageSize.to_string(),
            "page size (quadword 0, bits 36:35)"
        );
    }
}
