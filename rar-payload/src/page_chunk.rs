//! As many pages as one entry can name.

use core::fmt;

use crate::{Field, LinearAddressWidth, PageRange, PageSize, RangeError};

/// A page range that fits one entry: 1 to 63 pages.
///
/// The field is 6 bits wide and all public code treats it as a plain count (Intel's own Linux
/// branch of 2019, Linux RFC v4). What 0 means with an address range is unknown, and no code
/// encodes 64, so neither can be expressed here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageChunk {
    start: u64,
    /// The number of pages and their size, as they stand in the upper half of quadword 0: an entry
    /// is written more often than a chunk is made.
    control: u32,
    size: PageSize,
}

impl PageChunk {
    /// The largest number of pages in one entry.
    pub const MAX_PAGES: u8 = 63;

    /// Returns the chunk that holds all of `range`.
    ///
    /// # Errors
    ///
    /// [`ChunkError`] if the range has more than [`MAX_PAGES`](Self::MAX_PAGES) pages.
    pub const fn new(range: PageRange) -> Result<Self, ChunkError> {
        if range.page_count() > Self::MAX_PAGES as u64 {
            return Err(ChunkError {
                pages: range.page_count(),
            });
        }
        Ok(Self::of_short(range))
    }

    /// Returns the one page that holds `address`, judged by 48-bit addresses. The address may lie
    /// anywhere in the page.
    ///
    /// # Errors
    ///
    /// [`RangeError::NonCanonical`].
    pub const fn page(address: u64, size: PageSize) -> Result<Self, RangeError> {
        Self::page_with_width(address, size, LinearAddressWidth::Bits48)
    }

    /// Returns the one page that holds `address`, judged by addresses of the given width. The
    /// address may lie anywhere in the page.
    ///
    /// # Errors
    ///
    /// As [`page`](Self::page).
    pub const fn page_with_width(
        address: u64,
        size: PageSize,
        width: LinearAddressWidth,
    ) -> Result<Self, RangeError> {
        match PageRange::page_with_width(address, size, width) {
            Ok(range) => Ok(Self::of_short(range)),
            Err(error) => Err(error),
        }
    }

    /// Returns the chunk that holds all of `range`. The caller knows that it fits.
    #[inline]
    pub(crate) const fn of_short(range: PageRange) -> Self {
        const SIZE: u32 = Field::PageSize.mask().trailing_zeros();
        const COUNT: u32 = Field::PageCount.mask().trailing_zeros();
        let control = (range.page_count() << (COUNT - SIZE) | range.size().code() as u64) << SIZE;
        Self::of_entry(range, control)
    }

    /// Returns the chunk that holds all of `range`, whose number and size of pages stand in the
    /// quadword 0 that was given.
    #[inline]
    pub(crate) const fn of_entry(range: PageRange, control: u64) -> Self {
        Self {
            start: range.start(),
            control: (control >> 32) as u32,
            size: range.size(),
        }
    }

    /// Returns the number of pages and their size, as they stand in quadword 0.
    #[inline]
    pub(crate) const fn control(&self) -> u64 {
        (self.control as u64) << 32
    }

    /// Returns the address of the first page.
    #[must_use]
    #[inline]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Returns the number of pages, 1 to 63.
    #[must_use]
    #[inline]
    pub const fn page_count(&self) -> u8 {
        let [pages, ..] = Field::PageCount.value(self.control()).to_le_bytes();
        pages
    }

    /// Returns the page size.
    #[must_use]
    #[inline]
    pub const fn size(&self) -> PageSize {
        self.size
    }

    /// Returns the address of the last page.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.range().last()
    }

    /// Returns the same pages as a range.
    #[must_use]
    #[inline]
    pub const fn range(&self) -> PageRange {
        PageRange::from_parts(self.start, self.page_count() as u64, self.size)
    }
}

impl fmt::Debug for PageChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageChunk")
            .field("start", &self.start)
            .field("pages", &self.page_count())
            .field("size", &self.size)
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for PageChunk {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "PageChunk {{ start: {}, pages: {}, size: {} }}",
            self.start,
            self.page_count(),
            self.size
        );
    }
}

impl TryFrom<PageRange> for PageChunk {
    type Error = ChunkError;

    fn try_from(range: PageRange) -> Result<Self, ChunkError> {
        Self::new(range)
    }
}

/// A range has more pages than one entry can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ChunkError {
    /// The number of pages in the range.
    pub pages: u64,
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "page range: too long for one entry (got {} pages, expected at most {}); \
             cut it with `PageRange::chunks`",
            self.pages,
            PageChunk::MAX_PAGES
        )
    }
}

impl core::error::Error for ChunkError {}
