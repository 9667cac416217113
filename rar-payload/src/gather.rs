//! Pages gathered one by one, for one flush at the end.

use crate::{LinearAddressWidth, PageChunk, PageRange, PageSize, Pcid, Request, TableOwner};

/// Pages of one address space whose translations are to be flushed, gathered in any order and kept
/// as at most `N` ranges.
///
/// [`requests`](Self::requests) covers everything that was gathered. It covers nothing else as long
/// as the ranges fit `N` and the pages stay below the threshold:
///
/// - Ranges of one page size that overlap or touch become one. A page that fills the gap between
///   two ranges merges all three.
/// - More than [`max_pages`](Self::with_max_pages) pages become the whole address space, which is
///   then cheaper to flush.
/// - A range that finds no place is merged, over the gap, with another one, or two others are: the
///   two ranges of one page size that lie closest, at most [`MAX_GAP`](Self::MAX_GAP) pages apart.
///   If there are no such two, the whole address space is flushed. Other address spaces never are.
/// - An address that is not canonical at the width given to [`new`](Self::new) is flushed with the
///   whole address space.
///
/// The value allocates nothing. To gather pages of two address spaces (page-table isolation, a move
/// between processes) takes two of them.
///
/// # Examples
///
/// ```
/// use rar_payload::{Gather, LinearAddressWidth, PageRange, PageSize, Pcid, Request};
///
/// let pcid = Pcid::new(5)?;
/// let mut gather = Gather::<4>::new(pcid, LinearAddressWidth::Bits48);
/// for address in [0x7000, 0x5000, 0x6FFF] {
///     gather.page(address, PageSize::Size4K); // the last one closes the gap
/// }
/// let range = PageRange::new(0x5000, 3, PageSize::Size4K)?;
/// assert_eq!(gather.requests(), [Request::Pages { pcid, range }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "mmu_gather")]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gather<const N: usize> {
    pcid: Pcid,
    width: LinearAddressWidth,
    max_pages: u64,
    /// Those up to `length` are in use: [`Request::Pages`] of `pcid` that neither touch nor overlap,
    /// or a single request for the whole address space.
    requests: [Request; N],
    length: usize,
}

impl<const N: usize> Gather<N> {
    /// The threshold of a new value, in pages: 33, the default of Linux.
    ///
    /// Linux found that 33 pages cover 95 % of its flushes and cost about 3 microseconds, one
    /// instruction for each page. The CPU that initiates a flush executes the same instructions, and
    /// so does every target that answers in software.
    #[doc(alias = "tlb_single_page_flush_ceiling")]
    pub const DEFAULT_MAX_PAGES: u64 = 33;

    /// The widest gap, in pages, over which two ranges are merged when there are more than `N`.
    pub const MAX_GAP: u64 = PageChunk::MAX_PAGES as u64;

    /// Returns a value without a page.
    ///
    /// `width` judges the addresses given to [`page`](Self::page). `N` must not be 0.
    #[must_use]
    pub const fn new(pcid: Pcid, width: LinearAddressWidth) -> Self {
        const { assert!(N > 0, "a gatherer needs room for at least one range") };
        Self {
            pcid,
            width,
            max_pages: Self::DEFAULT_MAX_PAGES,
            requests: [Request::AddressSpace { pcid }; N],
            length: 0,
        }
    }

    /// Sets the number of pages, of any size, above which the whole address space is flushed.
    /// [`clear`](Self::clear) keeps the setting.
    #[must_use]
    pub const fn with_max_pages(self, max_pages: u64) -> Self {
        Self { max_pages, ..self }
    }

    /// Gathers the page that holds `address`. The address may lie anywhere in the page.
    ///
    /// `size` is that of the old leaf, see [`PageRange`].
    pub fn page(&mut self, address: u64, size: PageSize) {
        match PageRange::page_with_width(address, size, self.width) {
            Ok(range) => self.range(range),
            Err(_) => self.address_space(),
        }
    }

    /// Gathers the pages of a range.
    pub fn range(&mut self, range: PageRange) {
        if self.is_whole() {
            return;
        }
        let joined = self.take_touching(range);
        let pages = self.pages().saturating_add(joined.page_count());
        let kept = pages <= self.max_pages && (self.push(joined) || self.merge_closest(joined));
        if !kept {
            self.address_space();
        }
    }

    /// Notes that a page that held a page table of the address space is to be freed
    /// ([`Request::TablesFreed`]), which flushes the whole address space.
    pub fn tables_freed(&mut self) {
        let owner = TableOwner::AddressSpace(self.pcid);
        self.set_whole(Request::TablesFreed(owner));
    }

    /// Gathers the whole address space.
    pub fn address_space(&mut self) {
        if !self.frees_tables() {
            self.set_whole(Request::AddressSpace { pcid: self.pcid });
        }
    }

    /// Returns the requests that cover everything that was gathered, at most `N`.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        self.requests.get(..self.length).unwrap_or_default()
    }

    /// Returns whether nothing was gathered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Forgets everything that was gathered, after it was flushed.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Returns the address space.
    #[must_use]
    pub const fn pcid(&self) -> Pcid {
        self.pcid
    }

    fn frees_tables(&self) -> bool {
        self.requests().iter().any(Request::frees_tables)
    }

    fn is_whole(&self) -> bool {
        let whole = |request: &Request| !matches!(request, Request::Pages { .. });
        self.requests().first().is_some_and(whole)
    }

    fn set_whole(&mut self, request: Request) {
        if let Some(first) = self.requests.first_mut() {
            *first = request;
            self.length = 1;
        }
    }

    fn ranges(&self) -> impl Iterator<Item = PageRange> + Clone + '_ {
        self.requests().iter().filter_map(|request| match request {
            Request::Pages { range, .. } => Some(*range),
            _ => None,
        })
    }

    fn nth_range(&self, at: usize) -> Option<PageRange> {
        self.ranges().nth(at)
    }

    fn pages(&self) -> u64 {
        let pages = self.ranges().map(|range| range.page_count());
        pages.fold(0, u64::saturating_add)
    }

    /// Removes the ranges that touch or overlap `range`; returns it with them.
    ///
    /// They do not touch each other, so none of them touches only the result.
    fn take_touching(&mut self, range: PageRange) -> PageRange {
        let mut joined = range;
        let mut at = 0;
        while let Some(own) = self.nth_range(at) {
            if gap(own, range) == Some(0) {
                joined = hull(joined, own);
                self.remove(at);
            } else {
                at += 1;
            }
        }
        joined
    }

    fn remove(&mut self, at: usize) {
        match self.requests.get_mut(at..self.length) {
            Some([]) | None => {}
            Some(used) => {
                used.rotate_left(1);
                self.length -= 1;
            }
        }
    }

    fn push(&mut self, range: PageRange) -> bool {
        let Some(place) = self.requests.get_mut(self.length) else {
            return false;
        };
        let pcid = self.pcid;
        *place = Request::Pages { pcid, range };
        self.length += 1;
        true
    }

    /// Makes one range of the two closest, with `added` among them; returns whether two are close
    /// enough.
    fn merge_closest(&mut self, added: PageRange) -> bool {
        let all = || self.ranges().chain([added]).enumerate();
        let pairs = all().flat_map(|(at, one)| {
            let others = all().skip(at + 1);
            others
                .filter_map(move |(_, other)| Some((gap(one, other)?, at, hull(one, other), other)))
        });
        let Some((gap, at, merged, other)) = pairs.min_by_key(|(gap, ..)| *gap) else {
            return false;
        };
        let pages = self.pages().saturating_add(added.page_count());
        if gap > Self::MAX_GAP || pages.saturating_add(gap) > self.max_pages {
            return false;
        }
        self.remove(at);
        if other != added {
            let at = self.ranges().position(|range| range == other);
            self.remove(at.unwrap_or(self.length));
            let _has_room = self.push(added);
        }
        // The two were the closest, so nothing lies between them and nothing touches the result.
        self.push(merged)
    }
}

/// Returns the number of pages between two ranges of one size, 0 if they touch or overlap; `None`
/// if the sizes differ.
fn gap(one: PageRange, other: PageRange) -> Option<u64> {
    if one.size() != other.size() {
        return None;
    }
    let ((first, end), (other_first, other_end)) = (one.page_numbers(), other.page_numbers());
    Some(
        first
            .saturating_sub(other_end)
            .max(other_first.saturating_sub(end)),
    )
}

/// Returns the shortest range with both ranges, which are of one size and in one half of the
/// address space.
fn hull(one: PageRange, other: PageRange) -> PageRange {
    let ((first, end), (other_first, other_end)) = (one.page_numbers(), other.page_numbers());
    PageRange::from_page_numbers(first.min(other_first), end.max(other_end), one.size())
}
