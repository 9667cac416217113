//! Why some numbers are no page range.

use crate::{LinearAddressWidth, PageSize};
use core::fmt;

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
    /// An address is no multiple of the page size.
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
    /// Returns the address that was found wrong: the start, but for a misaligned end.
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
            Self::Empty { start } => write!(f, "the range at {start:#x} holds no page"),
            Self::Reversed { start, end } => {
                write!(f, "the end {end:#x} lies below the start {start:#x}")
            }
            Self::Misaligned { address, size } => {
                write!(f, "the address {address:#x} is no multiple of {size}")
            }
            Self::NonCanonical { address, width } => {
                write!(f, "the address {address:#x} is not canonical for {width}")
            }
            Self::Wraps { start, pages, size } => {
                write!(
                    f,
                    "{pages} pages of {size} from {start:#x} pass the end of the address space"
                )
            }
            Self::CrossesHole { start, last } => {
                write!(
                    f,
                    "the range from {start:#x} to page {last:#x} leaves the canonical lower half"
                )
            }
        }
    }
}

impl core::error::Error for RangeError {}
