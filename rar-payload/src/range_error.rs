//! Why some numbers are not a page range.

use core::fmt;

use crate::{LinearAddressWidth, PageSize};

/// The reason why a [`PageRange`](crate::PageRange) could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RangeError {
    /// The range holds no page.
    Empty {
        /// Where it would start.
        start: u64,
    },
    /// The exclusive end lies below the start.
    Reversed {
        /// The start as given.
        start: u64,
        /// The exclusive end as given.
        end: u64,
    },
    /// An address is not a multiple of the page size.
    Misaligned {
        /// The address as given.
        address: u64,
        /// The page size as given.
        size: PageSize,
    },
    /// The start is not canonical.
    NonCanonical {
        /// The address as given.
        address: u64,
        /// The width it was judged by.
        width: LinearAddressWidth,
    },
    /// The range goes on past the end of the address space.
    Wraps {
        /// The start as given.
        start: u64,
        /// The number of pages.
        pages: u64,
        /// The page size as given.
        size: PageSize,
    },
    /// The range reaches from the lower half into the hole between the halves, or past it.
    CrossesHole {
        /// The first page.
        start: u64,
        /// The last page.
        last: u64,
    },
}

impl RangeError {
    /// Returns the address that was found wrong: the start, except for a misaligned end.
    #[must_use]
    pub const fn address(&self) -> u64 {
        match *self {
            Self::Misaligned { address, .. } | Self::NonCanonical { address, .. } => address,
            Self::Empty { start }
            | Self::Reversed { start, .. }
            | Self::Wraps { start, .. }
            | Self::CrossesHole { start, .. } => start,
        }
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty { start } => write!(
                f,
                "page range at {start:#x}: empty (got 0 pages, expected at least 1)"
            ),
            Self::Reversed { start, end } => write!(
                f,
                "page range: end below start (got {start:#x} to {end:#x}); swap the bounds, or \
                 count the pages with `new` if the range ends with the address space"
            ),
            Self::Misaligned { address, size } => write!(
                f,
                "address {address:#x}: not aligned (expected a multiple of {size}); \
                 round the range outward with `covering`"
            ),
            Self::NonCanonical { address, width } => write!(
                f,
                "address {address:#x}: not canonical (expected {width}); \
                 pass the width the kernel runs with"
            ),
            Self::Wraps { start, pages, size } => write!(
                f,
                "page range at {start:#x}: passes the end of the address space \
                 (got {pages} pages of {size})"
            ),
            Self::CrossesHole { start, last } => write!(
                f,
                "page range at {start:#x}: leaves its half of the address space \
                 (got last page {last:#x}); make one range for each half"
            ),
        }
    }
}

impl core::error::Error for RangeError {}
