//! The page sizes an entry can name.

use core::fmt;

/// A page size, ordered from small to large.
///
/// Source of the codes 0, 1 and 2: Intel's own Linux branch of 2019 and Linux RFC v4 (code). The
/// latter never used another code than 0; nothing public shows that 2M and 1G strides were run on
/// silicon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PageSize {
    /// 4 KiB, code 0.
    Size4K,
    /// 2 MiB, code 1.
    Size2M,
    /// 1 GiB, code 2.
    Size1G,
}

impl PageSize {
    /// Every size, from small to large.
    pub const ALL: [Self; 3] = [Self::Size4K, Self::Size2M, Self::Size1G];

    /// Returns the size in bytes.
    #[must_use]
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    /// Returns the base-2 logarithm of the size in bytes.
    #[must_use]
    #[inline]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Size4K => 12,
            Self::Size2M => 21,
            Self::Size1G => 30,
        }
    }

    /// Returns the code that stands in the page size field.
    #[must_use]
    #[inline]
    pub const fn code(self) -> u8 {
        match self {
            Self::Size4K => 0,
            Self::Size2M => 1,
            Self::Size1G => 2,
        }
    }

    /// Returns the size that a code stands for, or `None` if the code is undefined.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Size4K),
            1 => Some(Self::Size2M),
            2 => Some(Self::Size1G),
            _ => None,
        }
    }

    /// Returns the size of this many bytes, or `None` if pages have no such size.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_payload::PageSize;
    ///
    /// assert_eq!(PageSize::from_bytes(0x20_0000), Some(PageSize::Size2M));
    /// assert_eq!(PageSize::from_bytes(0x2000), None);
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            0x1000 => Some(Self::Size4K),
            0x20_0000 => Some(Self::Size2M),
            0x4000_0000 => Some(Self::Size1G),
            _ => None,
        }
    }

    /// Returns the address of the page that holds `address`.
    #[inline]
    pub(crate) const fn align_down(self, address: u64) -> u64 {
        address & !(self.bytes() - 1)
    }
}

/// `4K`, `2M` or `1G`.
impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size4K => "4K",
            Self::Size2M => "2M",
            Self::Size1G => "1G",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::PageSize;

    #[test]
    fn sizes_are_the_architectural_ones_in_order() {
        assert_eq!(
            PageSize::ALL.map(PageSize::bytes),
            [0x1000, 0x20_0000, 0x4000_0000]
        );
        assert!(PageSize::ALL.is_sorted());
    }

    #[test]
    fn sizes_in_bytes_round_trip_and_nothing_else_is_a_size() {
        for shift in 0..64 {
            for bytes in [1u64 << shift, (1 << shift) - 1, (1 << shift) + 0x1000] {
                let size = PageSize::ALL.into_iter().find(|size| size.bytes() == bytes);
                assert_eq!(PageSize::from_bytes(bytes), size);
            }
        }
    }

    #[test]
    fn codes_round_trip_and_nothing_else_is_defined() {
        for code in 0..=u8::MAX {
            assert_eq!(
                PageSize::from_code(code).map(PageSize::code),
                (code < 3).then_some(code)
            );
        }
    }
}
