//! The bits by which a page-table entry records that its page was used.

/// A bit of an entry that the CPU sets by itself, and only software clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseBit {
    /// A: the page was accessed.
    Accessed,
    /// D: the page was stored to.
    Dirty,
}

impl UseBit {
    /// Returns the bit in an entry (SDM vol. 3, "Accessed and Dirty Flags").
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Accessed => 1 << 5,
            Self::Dirty => 1 << 6,
        }
    }
}
