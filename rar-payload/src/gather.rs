//! Pages gathered one by one, for one flush at the end.

use crate::{
    CostModel, LinearAddressWidth, PageChunk, PageRange, PageSize, Pcid, Request, TableOwner,
};

/// Pages of one address space whose translations are to be flushed, gathered in any order and kept
/// as at most `N` ranges.
///
/// [`requests`](Self::requests) covers everything that was gathered. It covers nothing else as long
/// as the ranges fit `N` and cost no more than the whole address space:
///
/// - Ranges of one page size that overlap or touch become one. A page that fills the gap between
///   two ranges merges all three.
/// - Pages that cost more become the whole address space ([`CostModel`]; each range counts as one
///   entry here).
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
/// for address in [0x7000, 0x5000, 0x6fff] {
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
    costs: CostModel,
    /// Those up to `length` are in use: [`Request::Pages`] of `pcid` that neither touch nor
    /// overlap, or a single request for the whole address space.
    requests: [Request; N],
    length: usize,
    /// What more ranges and pages may cost, until the whole address space is cheaper.
    left: u64,
    /// How the last range may grow.
    row: Row,
}

/// The pages that go on where the last range ends.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Row {
    size: PageSize,
    /// The number of the next page.
    next: u64,
    /// The number of the first page above that another range has.
    bound: u64,
}

impl Row {
    /// No page goes on.
    const NONE: Self = Self {
        size: PageSize::Size4K,
        next: u64::MAX,
        bound: 0,
    };
}

impl<const N: usize> Gather<N> {
    /// The widest gap, in pages, over which two ranges are merged when there are more than `N`.
    pub const MAX_GAP: u64 = PageChunk::MAX_PAGES as u64;

    /// Returns a value without a page, that goes by [`CostModel::new`].
    ///
    /// `width` judges the addresses given to [`page`](Self::page). `N` must not be 0.
    #[must_use]
    pub const fn new(pcid: Pcid, width: LinearAddressWidth) -> Self {
        Self::with_costs(pcid, width, CostModel::new())
    }

    /// Returns a value without a page, that goes by these costs.
    #[must_use]
    pub const fn with_costs(pcid: Pcid, width: LinearAddressWidth, costs: CostModel) -> Self {
        const { assert!(N > 0, "a gatherer needs room for at least one range") };
        Self {
            pcid,
            width,
            costs,
            requests: [Request::AddressSpace { pcid }; N],
            length: 0,
            left: costs.of_space(),
            row: Row::NONE,
        }
    }

    /// Gathers the page that holds `address`. The address may lie anywhere in the page.
    ///
    /// `size` is that of the old leaf, see [`PageRange`].
    #[inline]
    pub fn page(&mut self, address: u64, size: PageSize) {
        match PageRange::page_with_width(address, size, self.width) {
            Ok(range) => self.range(range),
            Err(_) => self.address_space(),
        }
    }

    /// Gathers the pages of a range.
    #[inline]
    pub fn range(&mut self, range: PageRange) {
        if !self.extend_last(range) {
            self.join(range);
        }
    }

    /// Adds pages that go on where the last range ends: the usual way to unmap. Returns whether
    /// they do, are cheap enough, and reach no other range.
    #[inline]
    fn extend_last(&mut self, range: PageRange) -> bool {
        let (first, end) = range.page_numbers();
        let cost = self.costs.of(0, range.page_count());
        let goes_on = first == self.row.next && range.size() == self.row.size;
        if !goes_on || end >= self.row.bound || cost > self.left {
            return false;
        }
        let Some(Request::Pages { range: last, .. }) = self.last_mut() else {
            return false;
        };
        *last = last.extended(range.page_count());
        self.left -= cost;
        self.row.next = end;
        true
    }

    /// Adds pages wherever they lie.
    #[inline(never)]
    fn join(&mut self, range: PageRange) {
        let (size, (first, end)) = (range.size(), range.page_numbers());
        let mut bound = u64::MAX;
        for request in self.requests() {
            let Request::Pages { range: own, .. } = request else {
                return; // the whole address space is gathered already
            };
            if own.size() != size {
                continue;
            }
            let own_first = own.start() >> size.shift();
            let own_end = own_first + own.page_count();
            if own_first > end {
                bound = bound.min(own_first);
            } else if own_end >= first {
                return self.merge_touching(range);
            }
        }
        self.add(range, bound);
    }

    /// Adds a range that touches no other. Another one of its size starts at page number `bound`.
    #[inline]
    fn add(&mut self, range: PageRange, bound: u64) {
        let cost = self.costs.of(1, range.page_count());
        if self.length == N {
            self.merge_closest(range);
        } else if cost > self.left {
            self.address_space();
        } else {
            self.push(range);
            self.left -= cost;
            let (_, next) = range.page_numbers();
            let size = range.size();
            self.row = Row { size, next, bound };
        }
    }

    /// Adds a range and what it touches or overlaps, as one range.
    #[inline(never)]
    fn merge_touching(&mut self, range: PageRange) {
        let (mut joined, mut bound) = (range, u64::MAX);
        let mut at = 0;
        // They do not touch each other, so none of them touches only the joined one.
        while let Some(own) = self.nth_range(at) {
            match gap(own, range) {
                Some(0) => {
                    joined = hull(joined, own);
                    self.left += self.costs.of(1, own.page_count());
                    self.remove(at);
                    continue;
                }
                Some(_) if own.start() > range.start() => {
                    let (own_first, _) = own.page_numbers();
                    bound = bound.min(own_first);
                }
                _ => {}
            }
            at += 1;
        }
        self.add(joined, bound);
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
    #[inline]
    pub fn requests(&self) -> &[Request] {
        self.requests.get(..self.length).unwrap_or_default()
    }

    /// Returns whether nothing was gathered.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Forgets everything that was gathered, after it was flushed.
    #[inline]
    pub fn clear(&mut self) {
        self.length = 0;
        self.left = self.costs.of_space();
        self.row = Row::NONE;
    }

    /// Returns the address space.
    #[must_use]
    #[inline]
    pub const fn pcid(&self) -> Pcid {
        self.pcid
    }

    fn frees_tables(&self) -> bool {
        self.requests().iter().any(Request::frees_tables)
    }

    fn set_whole(&mut self, request: Request) {
        if let Some(first) = self.requests.first_mut() {
            *first = request;
            self.length = 1;
            self.row = Row::NONE;
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

    fn last_mut(&mut self) -> Option<&mut Request> {
        self.requests.get_mut(self.length.checked_sub(1)?)
    }

    /// Removes one range; the others keep their order.
    fn remove(&mut self, at: usize) {
        if let Some([place, rest @ ..]) = self.requests.get_mut(at..self.length) {
            let mut place = place;
            for next in rest {
                core::mem::swap(place, next);
                place = next;
            }
            self.length -= 1;
        }
    }

    /// Adds a range, for which the caller knows that there is room.
    #[inline]
    fn push(&mut self, range: PageRange) {
        let pcid = self.pcid;
        if let Some(place) = self.requests.get_mut(self.length) {
            *place = Request::Pages { pcid, range };
            self.length += 1;
        }
    }

    /// Makes one range of the two closest, with `added` among them, or gathers the whole address
    /// space if no two are close enough.
    #[cold]
    #[inline(never)]
    fn merge_closest(&mut self, added: PageRange) {
        let all = || self.ranges().chain([added]).enumerate();
        let pairs = all().flat_map(|(at, one)| {
            let others = all().skip(at + 1);
            others.filter_map(move |(other_at, other)| {
                Some((gap(one, other)?, at, other_at, hull(one, other)))
            })
        });
        let closest = pairs.min_by_key(|(gap, ..)| *gap);
        match closest {
            Some((gap, at, other_at, merged))
                if gap <= Self::MAX_GAP
                    && self.costs.of(0, added.page_count() + gap) <= self.left =>
            {
                // The two were the closest, so nothing lies between them and nothing touches the
                // result.
                self.remove(at);
                if other_at < N {
                    self.remove(other_at - 1);
                    self.push(added);
                }
                self.push(merged);
                self.left -= self.costs.of(0, added.page_count() + gap);
                self.row = Row::NONE;
            }
            _ => self.address_space(),
        }
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
