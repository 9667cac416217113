//! The format of page tables with four levels.

use rar_model::PageSize;

/// How many address bits one level translates.
pub(crate) const INDEX_BITS: u32 = 9;
/// The lowest address bit that the root table translates.
pub(crate) const ROOT_SHIFT: u32 = 39;

/// One entry, as the CPU reads it (SDM vol. 3, "4-Level Paging").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(pub u64);

impl Entry {
    /// The physical address.
    pub const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;
    /// P.
    pub const PRESENT: u64 = 1;
    /// R/W.
    pub const WRITABLE: u64 = 1 << 1;
    /// A: the CPU has used the entry for a translation.
    pub const ACCESSED: u64 = 1 << 5;
    /// D: a store went through the entry.
    pub const DIRTY: u64 = 1 << 6;
    /// PS: a page, not a table.
    pub const LARGE: u64 = 1 << 7;
    /// G.
    pub const GLOBAL: u64 = 1 << 8;

    /// Nothing is mapped.
    pub const NONE: Self = Self(0);

    /// Returns an entry that points to a table and permits everything.
    #[must_use]
    pub const fn table(address: u64) -> Self {
        Self(address | Self::PRESENT | Self::WRITABLE)
    }

    /// Returns whether anything is mapped.
    #[must_use]
    pub const fn is_present(self) -> bool {
        self.0 & Self::PRESENT != 0
    }

    /// Returns whether the entry permits stores.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE != 0
    }

    /// Returns whether the CPU has recorded a use of the entry.
    #[must_use]
    pub const fn is_accessed(self) -> bool {
        self.0 & Self::ACCESSED != 0
    }

    /// Returns whether the CPU has recorded a store through the entry.
    #[must_use]
    pub const fn is_dirty(self) -> bool {
        self.0 & Self::DIRTY != 0
    }

    /// Returns whether the entry is a page where it could be a table.
    #[must_use]
    pub const fn is_large(self) -> bool {
        self.0 & Self::LARGE != 0
    }

    /// Returns the size of the page that the entry maps, in a table that translates from bit
    /// `shift` on; `None` if it leads to another table.
    #[must_use]
    pub const fn maps(self, shift: u32) -> Option<PageSize> {
        match shift {
            12 => Some(PageSize::Size4K),
            21 if self.is_large() => Some(PageSize::Size2M),
            30 if self.is_large() => Some(PageSize::Size1G),
            _ => None,
        }
    }

    /// Returns whether the translation belongs to all spaces.
    #[must_use]
    pub const fn is_global(self) -> bool {
        self.0 & Self::GLOBAL != 0
    }

    /// Returns the address of the page or table.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.0 & Self::ADDRESS
    }
}

/// Returns the physical address of the entry for `address` in the table at `table`, which
/// translates from bit `shift` on.
#[must_use]
pub const fn slot(table: u64, address: u64, shift: u32) -> u64 {
    table + 8 * (address >> shift & ((1 << INDEX_BITS) - 1))
}
