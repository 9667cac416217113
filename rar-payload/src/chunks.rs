//! A range, cut to the size of an entry.

use core::iter::FusedIterator;

use crate::{PageChunk, PageRange, PageSize};

/// The pieces of a [`PageRange`], in ascending order: all of 63 pages, the last of what is left.
///
/// Its length is exact on 64-bit targets; elsewhere a length above `usize::MAX` is given as
/// `usize::MAX`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Chunks {
    start: u64,
    pages: u64,
    size: PageSize,
}

impl Chunks {
    #[inline]
    pub(crate) const fn new(range: PageRange) -> Self {
        Self {
            start: range.start(),
            pages: range.page_count(),
            size: range.size(),
        }
    }
}

impl Iterator for Chunks {
    type Item = PageChunk;

    #[inline]
    fn next(&mut self) -> Option<PageChunk> {
        if self.pages == 0 {
            return None;
        }
        let taken = self.pages.min(PageChunk::MAX_PAGES.into());
        let chunk = PageRange::from_parts(self.start, taken, self.size);
        self.pages -= taken;
        // Past the top of the address space only when nothing is left.
        self.start = self.start.wrapping_add(taken << self.size.shift());
        Some(PageChunk::of_short(chunk))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.pages.div_ceil(u64::from(PageChunk::MAX_PAGES));
        match usize::try_from(left) {
            Ok(left) => (left, Some(left)),
            Err(_) => (usize::MAX, None),
        }
    }
}

impl ExactSizeIterator for Chunks {
    fn len(&self) -> usize {
        self.size_hint().0
    }
}

impl FusedIterator for Chunks {}
