//! Any number of pages in a row.

use crate::{Chunks, LinearAddressWidth, PageChunk, PageSize, RangeError};

/// One or more pages in a row: aligned, canonical, never wrapping, never across the canonical hole.
///
/// # Which page size
///
/// The size is that of the *old* leaves in the range: the pages by which it may still be cached, as
/// the page tables stood before the change. A range that was mapped by 2M pages and is now split
/// into 4K pages is a range of 2M. If the old leaves are of several sizes, or unknown, do not build
/// a range but flush the address space ([`Request::AddressSpace`](crate::Request::AddressSpace)) or
/// everything: it is unknown whether an entry with 4K stride also drops a larger translation that
/// covers the address.
///
/// # Which address width
///
/// Each constructor has a short form for four-level paging and a form `..._with_width` that takes
/// the [`LinearAddressWidth`] the kernel runs with. A kernel with five-level paging
/// (`CR4.LA57` = 1) uses the latter only: the short forms reject its addresses above 47 bits.
///
/// # Examples
///
/// ```
/// use rar_payload::{PageRange, PageSize, RangeError};
///
/// let range = PageRange::covering(0x1fff, 2, PageSize::Size4K)?;
/// assert_eq!((range.start(), range.page_count(), range.last()), (0x1000, 2, 0x2000));
///
/// let top = PageRange::new(0xffff_ffff_ffff_f000, 1, PageSize::Size4K)?;
/// assert_eq!(top.last(), 0xffff_ffff_ffff_f000);
///
/// let hole = PageRange::new(0x7fff_ffff_f000, 2, PageSize::Size4K);
/// assert!(matches!(hole, Err(RangeError::CrossesHole { .. })));
/// # Ok::<(), RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PageRange {
    start: u64,
    pages: u64,
    size: PageSize,
}

impl PageRange {
    /// Returns the range of `pages` pages from `start` on, judged by 48-bit addresses.
    ///
    /// # Errors
    ///
    /// Any [`RangeError`] but [`Reversed`](RangeError::Reversed).
    pub const fn new(start: u64, pages: u64, size: PageSize) -> Result<Self, RangeError> {
        Self::with_width(start, pages, size, LinearAddressWidth::Bits48)
    }

    /// Returns the range of `pages` pages from `start` on, judged by addresses of the given width.
    ///
    /// # Errors
    ///
    /// Any [`RangeError`] but [`Reversed`](RangeError::Reversed).
    pub const fn with_width(
        start: u64,
        pages: u64,
        size: PageSize,
        width: LinearAddressWidth,
    ) -> Result<Self, RangeError> {
        if pages == 0 {
            return Err(RangeError::Empty { start });
        }
        if size.align_down(start) != start {
            return Err(RangeError::Misaligned {
                address: start,
                size,
            });
        }
        if !width.is_canonical(start) {
            return Err(RangeError::NonCanonical {
                address: start,
                width,
            });
        }
        let wraps = RangeError::Wraps { start, pages, size };
        if pages - 1 > u64::MAX >> size.shift() {
            return Err(wraps);
        }
        let Some(last) = start.checked_add((pages - 1) << size.shift()) else {
            return Err(wraps);
        };
        let one_half = start >> 63 == last >> 63;
        if !one_half || !width.is_canonical(last) {
            return Err(RangeError::CrossesHole { start, last });
        }
        Ok(Self { start, pages, size })
    }

    /// Returns the pages from `start` up to and without `end`, judged by 48-bit addresses.
    ///
    /// The page at the very top of the address space has no exclusive end in 64 bits: use
    /// [`new`](Self::new) for it.
    ///
    /// # Errors
    ///
    /// Any [`RangeError`]; both addresses have to be aligned.
    pub const fn from_bounds(start: u64, end: u64, size: PageSize) -> Result<Self, RangeError> {
        Self::from_bounds_with_width(start, end, size, LinearAddressWidth::Bits48)
    }

    /// Returns the pages from `start` up to and without `end`, judged by addresses of the given
    /// width.
    ///
    /// # Errors
    ///
    /// As [`from_bounds`](Self::from_bounds).
    pub const fn from_bounds_with_width(
        start: u64,
        end: u64,
        size: PageSize,
        width: LinearAddressWidth,
    ) -> Result<Self, RangeError> {
        let Some(bytes) = end.checked_sub(start) else {
            return Err(RangeError::Reversed { start, end });
        };
        if size.align_down(start) != start {
            return Err(RangeError::Misaligned {
                address: start,
                size,
            });
        }
        if size.align_down(end) != end {
            return Err(RangeError::Misaligned { address: end, size });
        }
        Self::with_width(start, bytes >> size.shift(), size, width)
    }

    /// Returns every page that holds one of `bytes` bytes from `start` on, judged by 48-bit
    /// addresses.
    ///
    /// # Errors
    ///
    /// Any [`RangeError`] but [`Reversed`](RangeError::Reversed) and
    /// [`Misaligned`](RangeError::Misaligned).
    pub const fn covering(start: u64, bytes: u64, size: PageSize) -> Result<Self, RangeError> {
        Self::covering_with_width(start, bytes, size, LinearAddressWidth::Bits48)
    }

    /// Returns every page that holds one of `bytes` bytes from `start` on, judged by addresses of
    /// the given width.
    ///
    /// # Errors
    ///
    /// As [`covering`](Self::covering).
    pub const fn covering_with_width(
        start: u64,
        bytes: u64,
        size: PageSize,
        width: LinearAddressWidth,
    ) -> Result<Self, RangeError> {
        let Some(above_first) = bytes.checked_sub(1) else {
            return Err(RangeError::Empty { start });
        };
        if !width.is_canonical(start) {
            return Err(RangeError::NonCanonical {
                address: start,
                width,
            });
        }
        let first = size.align_down(start);
        let within = (start - first) + (above_first - size.align_down(above_first));
        let pages = (above_first >> size.shift()) + (within >> size.shift()) + 1;
        if start.checked_add(above_first).is_none() {
            return Err(RangeError::Wraps { start, pages, size });
        }
        Self::with_width(first, pages, size, width)
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
    #[inline]
    pub const fn page_with_width(
        address: u64,
        size: PageSize,
        width: LinearAddressWidth,
    ) -> Result<Self, RangeError> {
        if !width.is_canonical(address) {
            return Err(RangeError::NonCanonical { address, width });
        }
        // Both halves begin and end with a page of any size, so the whole page is canonical.
        Ok(Self::from_parts(size.align_down(address), 1, size))
    }

    /// Returns a part of a range that was judged before.
    #[inline]
    pub(crate) const fn from_parts(start: u64, pages: u64, size: PageSize) -> Self {
        Self { start, pages, size }
    }

    /// Returns the range with `pages` more behind it, which were judged before.
    #[inline]
    pub(crate) const fn extended(&self, pages: u64) -> Self {
        Self::from_parts(self.start, self.pages + pages, self.size)
    }

    /// Returns the numbers of the first page and of the page after the last one: addresses divided
    /// by the page size, so that the end of the address space is a number like any other.
    #[inline]
    pub(crate) const fn page_numbers(&self) -> (u64, u64) {
        let first = self.start >> self.size.shift();
        (first, first + self.pages)
    }

    /// Returns the range from page number `first` up to and without `end`, both taken from ranges
    /// that were judged before and between which there is no hole.
    #[inline]
    pub(crate) const fn from_page_numbers(first: u64, end: u64, size: PageSize) -> Self {
        Self::from_parts(first << size.shift(), end - first, size)
    }

    /// Returns the address of the first page.
    #[must_use]
    #[inline]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Returns the number of pages, at least 1.
    #[must_use]
    #[inline]
    pub const fn page_count(&self) -> u64 {
        self.pages
    }

    /// Returns the page size.
    #[must_use]
    #[inline]
    pub const fn size(&self) -> PageSize {
        self.size
    }

    /// Returns the address of the last page.
    #[must_use]
    #[inline]
    pub const fn last(&self) -> u64 {
        self.start + ((self.pages - 1) << self.size.shift())
    }

    /// Returns whether `address` lies in one of the pages.
    #[must_use]
    pub const fn contains(&self, address: u64) -> bool {
        let page = self.size.align_down(address);
        self.start <= page && page <= self.last()
    }

    /// Returns the range cut into pieces of at most [`PageChunk::MAX_PAGES`] pages, in ascending
    /// order.
    #[must_use]
    #[inline]
    pub const fn chunks(&self) -> Chunks {
        Chunks::new(*self)
    }

    /// Returns the pieces if there are two of them.
    #[inline]
    pub(crate) const fn two_chunks(&self) -> Option<[PageChunk; 2]> {
        const FIRST: u64 = PageChunk::MAX_PAGES as u64;
        if self.pages <= FIRST || self.pages > 2 * FIRST {
            return None;
        }
        let (first, end) = self.page_numbers();
        let middle = first + FIRST;
        Some([
            PageChunk::of_short(Self::from_page_numbers(first, middle, self.size)),
            PageChunk::of_short(Self::from_page_numbers(middle, end, self.size)),
        ])
    }

    /// Returns how many pieces [`chunks`](Self::chunks) gives.
    #[must_use]
    #[inline]
    pub const fn chunk_count(&self) -> u64 {
        self.pages.div_ceil(PageChunk::MAX_PAGES as u64)
    }
}

impl From<PageChunk> for PageRange {
    fn from(chunk: PageChunk) -> Self {
        chunk.range()
    }
}
