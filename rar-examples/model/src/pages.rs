//! Page sizes and the page list of a ranged entry.

/// The page size of a translation, and the stride of a ranged entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PageSize {
    /// 4 KiB; code 0 in a payload.
    Size4K,
    /// 2 MiB; code 1.
    Size2M,
    /// 1 GiB; code 2.
    Size1G,
}

impl PageSize {
    /// Returns the size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Size4K => 1 << 12,
            Self::Size2M => 1 << 21,
            Self::Size1G => 1 << 30,
        }
    }

    /// Returns the start of the page of this size that holds `address`.
    #[must_use]
    pub const fn start_of(self, address: u64) -> u64 {
        address & !(self.bytes() - 1)
    }
}

/// The pages that one ranged entry names: `count` addresses, `size` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pages {
    /// Linear address of the first page.
    pub start: u64,
    /// Page size, which is also the distance between two addresses.
    pub size: PageSize,
    /// Number of pages; 0..=63 from a payload.
    pub count: u8,
}

impl Pages {
    /// Returns the page of `size` that holds `address`.
    #[must_use]
    pub const fn one(address: u64, size: PageSize) -> Self {
        Self {
            start: size.start_of(address),
            size,
            count: 1,
        }
    }

    /// Returns the start address of every page, in order.
    pub fn addresses(self) -> impl Iterator<Item = u64> {
        (0..u64::from(self.count)).map(move |i| self.start.wrapping_add(i * self.size.bytes()))
    }

    /// Returns the address of the last page; `start` when the count is zero.
    #[must_use]
    pub fn last(self) -> u64 {
        let steps = u64::from(self.count.saturating_sub(1));
        self.start.wrapping_add(steps * self.size.bytes())
    }
}
