//! When it is cheaper to flush more than was asked for.

use crate::PageChunk;

/// What a flush costs each target, in nanoseconds.
///
/// The pages of an address space are flushed one by one as long as that costs no more than to flush
/// all of it and to load again what is lost. In `n` entries of `p` pages together, whatever their
/// size, that is while
///
/// > `(n - 1) × entry + p × page <= space`
///
/// since a flush of the whole space takes one entry, too. Each address space is judged alone. Only
/// proportions count, so a unit other than nanoseconds does as well.
///
/// All address spaces are never flushed to save costs: that loses whatever the flushes of each one
/// lose, and more, and saves at most three entries. Only a lack of entries leads there.
///
/// [`Request::collapse`](crate::Request::collapse) and [`Gather`](crate::Gather) decide by it. The
/// guess can cost time only: what is flushed always covers what was asked for.
///
/// # How sure the figures are
///
/// It is not published what a RAR unit takes for an entry or a page. The figures of
/// [`new`](Self::new) are those of the instructions that an entry imitates, and that the initiator
/// and every target that answers in software execute.
///
/// # Examples
///
/// ```
/// use rar_payload::CostModel;
///
/// assert!(CostModel::new().keeps(4, 33));
/// assert!(!CostModel::new().keeps(1, 100));
/// // Measured: the programs of this kernel lose more.
/// const COSTS: CostModel = CostModel::new().with_space(10_000);
/// assert!(COSTS.keeps(1, 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CostModel {
    entry: u32,
    page: u32,
    space: u32,
    /// How many pages are kept in one entry: what the ordinary flush asks.
    pages_of_one_entry: u8,
}

impl CostModel {
    /// The model by which only a lack of entries makes a flush larger than was asked for.
    pub const EXACT: Self = Self::from_costs(0, 0, 0);

    /// Returns the default: 63 pages are flushed one by one in one entry, 60 in four.
    ///
    /// - A page costs 100 ns, an `INVLPG` as Linux measured it (the comment at its
    ///   `tlb_single_page_flush_ceiling`).
    /// - An entry costs 100 ns as well: a guess, about two lines moved between cores.
    /// - A space costs 6,300 ns: as much as the 63 pages that one entry names. The published Linux
    ///   series flushes these one by one. Linux stops at 33 for interrupts, which cover 95 % of its
    ///   flushes. It stands for some 600 translations, at 10 ns for a walk whose tables are cached
    ///   (a guess). A program that uses few pages loses less, one that fills a second-level TLB of
    ///   2,000 loses 20,000 ns.
    #[must_use]
    pub const fn new() -> Self {
        Self::from_costs(100, 100, 6_300)
    }

    /// Returns the model that flushes up to this number of pages one by one, in however many
    /// entries: the ceiling of Linux.
    #[doc(alias = "tlb_single_page_flush_ceiling")]
    #[must_use]
    pub const fn with_ceiling(pages: u32) -> Self {
        Self::from_costs(0, 1, pages)
    }

    /// Sets what one more entry costs: its slot, the line that is written and then read by each
    /// target, and the time until the target begins with the first page.
    #[must_use]
    pub const fn with_entry(self, nanoseconds: u32) -> Self {
        Self::from_costs(nanoseconds, self.page, self.space)
    }

    /// Sets what one page of an entry costs.
    #[must_use]
    pub const fn with_page(self, nanoseconds: u32) -> Self {
        Self::from_costs(self.entry, nanoseconds, self.space)
    }

    /// Sets what it costs to load again what one address space has in the TLB of a target.
    #[must_use]
    pub const fn with_space(self, nanoseconds: u32) -> Self {
        Self::from_costs(self.entry, self.page, nanoseconds)
    }

    const fn from_costs(entry: u32, page: u32, space: u32) -> Self {
        let mut costs = Self {
            entry,
            page,
            space,
            pages_of_one_entry: PageChunk::MAX_PAGES,
        };
        while !costs.keeps(1, costs.pages_of_one_entry as u64) {
            costs.pages_of_one_entry -= 1;
        }
        costs
    }

    /// Returns whether these pages of one address space, in these entries, cost no more one by
    /// one than the whole address space does.
    #[must_use]
    #[inline]
    pub const fn keeps(&self, entries: u64, pages: u64) -> bool {
        self.of(entries.saturating_sub(1), pages) <= self.space as u64
    }

    /// Returns the cost of these pages in these entries.
    #[inline]
    pub(crate) const fn of(&self, entries: u64, pages: u64) -> u64 {
        let entries = entries.saturating_mul(self.entry as u64);
        entries.saturating_add(pages.saturating_mul(self.page as u64))
    }

    /// Returns what the whole address space costs, with its entry.
    #[inline]
    pub(crate) const fn of_space(&self) -> u64 {
        self.entry as u64 + self.space as u64
    }

    /// Returns whether the pages are few enough for one chunk, and cheap enough.
    #[inline]
    pub(crate) const fn keeps_in_one(&self, pages: u64) -> bool {
        pages <= self.pages_of_one_entry as u64
    }
}

impl Default for CostModel {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::CostModel;
    use crate::PageChunk;

    #[test]
    fn the_default_keeps_63_pages_in_one_entry_and_60_in_four() {
        let costs = CostModel::new();
        for entries in 0..=4 {
            assert!((1..=60).all(|pages| costs.keeps(entries, pages)));
        }
        assert!(costs.keeps(1, 63) && !costs.keeps(1, 64) && !costs.keeps(4, 61));
        assert_eq!(CostModel::default(), costs);
    }

    #[test]
    fn each_cost_counts_and_none_overflows() {
        let costs = CostModel::new().with_entry(7).with_page(2).with_space(20);
        for entries in 0..8 {
            for pages in 0..20 {
                let kept = u64::max(entries, 1) * 7 + pages * 2 <= 27;
                assert_eq!(costs.keeps(entries, pages), kept, "{entries} of {pages}");
            }
        }
        assert!(!costs.keeps(u64::MAX, 0) && !costs.keeps(0, u64::MAX));
        assert!(CostModel::EXACT.keeps(u64::MAX, u64::MAX));
    }

    #[test]
    fn a_ceiling_counts_pages_alone() {
        let costs = CostModel::with_ceiling(63);
        assert!(costs.keeps(63, 63) && !costs.keeps(1, 64));
        assert!(CostModel::with_ceiling(0).keeps(9, 0) && !CostModel::with_ceiling(0).keeps(1, 1));
    }

    #[test]
    fn one_entry_keeps_what_is_cheap_and_fits_a_chunk() {
        for costs in [
            CostModel::EXACT,
            CostModel::new(),
            CostModel::with_ceiling(0),
            CostModel::with_ceiling(100).with_entry(7),
        ] {
            for pages in 1..=70 {
                let kept = costs.keeps(1, pages) && pages <= PageChunk::MAX_PAGES.into();
                assert_eq!(costs.keeps_in_one(pages), kept, "{pages} by {costs:?}");
            }
        }
    }
}
