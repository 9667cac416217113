//! The gatherer, against a plain set of pages.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use rar_payload::{
    CostModel, Gather, LinearAddressWidth, PageRange, PageSize, Pcid, Request, TableOwner,
};

const WIDTH: LinearAddressWidth = LinearAddressWidth::Bits48;

fn pcid() -> Pcid {
    Pcid::new(7).unwrap()
}

/// Keeps 36 pages in one range, 33 in four.
fn gather<const N: usize>() -> Gather<N> {
    Gather::with_costs(pcid(), WIDTH, CostModel::new().with_space(3_600))
}

fn pages(start: u64, count: u64) -> Request {
    let range = PageRange::new(start << 12, count, PageSize::Size4K).unwrap();
    Request::Pages {
        pcid: pcid(),
        range,
    }
}

fn space() -> [Request; 1] {
    [Request::AddressSpace { pcid: pcid() }]
}

/// Gathers small pages by number.
fn gathered<const N: usize>(numbers: &[u64]) -> Gather<N> {
    let mut gather = gather();
    for number in numbers {
        gather.page(number << 12 | 0x123, PageSize::Size4K);
    }
    gather
}

#[test]
fn neighbours_merge_on_both_sides() {
    assert_eq!(gathered::<2>(&[5, 6, 7]).requests(), [pages(5, 3)]);
    assert_eq!(gathered::<2>(&[7, 6, 5]).requests(), [pages(5, 3)]);
    assert_eq!(gathered::<2>(&[5, 7, 6]).requests(), [pages(5, 3)]);
    assert_eq!(gathered::<2>(&[5, 5, 6, 5]).requests(), [pages(5, 2)]);
    assert_eq!(
        gathered::<2>(&[5, 7]).requests(),
        [pages(5, 1), pages(7, 1)]
    );
}

#[test]
fn a_range_absorbs_all_that_it_touches() {
    let mut gather = gathered::<8>(&[1, 3, 5, 9, 11]);
    gather.range(PageRange::new(0x2000, 7, PageSize::Size4K).unwrap());
    assert_eq!(gather.requests(), [pages(11, 1), pages(1, 9)]);
}

#[test]
fn sizes_stay_apart() {
    let mut gather = gathered::<2>(&[0x1ff]);
    gather.page(0x20_0000, PageSize::Size2M);
    assert_eq!(gather.requests().len(), 2);
    // Nothing of its size, and no place.
    gather.page(0x4000_0000, PageSize::Size1G);
    assert_eq!(gather.requests(), space());
}

#[test]
fn the_two_closest_ranges_merge_when_there_is_no_place() {
    let mut gather = gathered::<3>(&[10, 20, 40]);
    gather.page(43 << 12, PageSize::Size4K);
    assert_eq!(
        gather.requests(),
        [pages(10, 1), pages(20, 1), pages(40, 4)]
    );
    gather.page(90 << 12, PageSize::Size4K);
    assert_eq!(
        gather.requests(),
        [pages(40, 4), pages(90, 1), pages(10, 11)]
    );
    // The gaps are too wide for the threshold of 33 pages.
    gather.page(130 << 12, PageSize::Size4K);
    assert_eq!(gather.requests(), space());
}

#[test]
fn a_wide_gap_is_never_filled() {
    for (far, merged) in [(74, true), (75, false)] {
        let mut gather = Gather::<1>::with_costs(pcid(), WIDTH, CostModel::EXACT);
        gather.page(10 << 12, PageSize::Size4K);
        gather.page(far << 12, PageSize::Size4K);
        let filled = gather.requests() == [pages(10, far - 9)];
        assert_eq!((filled, gather.requests() == space()), (merged, !merged));
    }
}

#[test]
fn what_costs_more_than_the_whole_space_is_flushed_as_such() {
    let mut gather = gather::<4>();
    for _ in 0..2 {
        gather.range(PageRange::new(0, 36, PageSize::Size4K).unwrap());
        assert_eq!(gather.requests(), [pages(0, 36)]);
    }
    gather.page(0x5000_0000, PageSize::Size4K);
    assert_eq!(gather.requests(), space());
    gather.page(0, PageSize::Size4K);
    assert_eq!(gather.requests(), space());

    gather.clear();
    assert!(gather.is_empty() && gather.requests().is_empty());
    // After it, as at first: 33 pages in four ranges, and not one more.
    for page in (0..30).chain([40, 42, 44]) {
        gather.page(page << 12, PageSize::Size4K);
    }
    assert_eq!(gather.requests().len(), 4);
    gather.page(45 << 12, PageSize::Size4K);
    assert_eq!(gather.requests(), space());

    let mut gather = Gather::<4>::with_costs(pcid(), WIDTH, CostModel::EXACT);
    gather.range(PageRange::new(0, 1 << 35, PageSize::Size4K).unwrap());
    assert_eq!(gather.requests(), [pages(0, 1 << 35)]);
}

/// The short way for pages in a row must see what lies in front of them.
#[test]
fn a_row_that_reaches_another_range_merges_with_it() {
    let mut gather = gathered::<4>(&[8, 4, 20, 5, 6]);
    assert_eq!(gather.requests(), [pages(8, 1), pages(20, 1), pages(4, 3)]);
    gather.page(7 << 12, PageSize::Size4K);
    assert_eq!(gather.requests(), [pages(20, 1), pages(4, 5)]);
    gather.range(PageRange::new(9 << 12, 12, PageSize::Size4K).unwrap());
    assert_eq!(gather.requests(), [pages(4, 17)]);
    // The number of the next page, but of large pages.
    gather.page(21 << 21, PageSize::Size2M);
    assert_eq!(gather.requests().len(), 2);
    gather.clear();
    gather.page(21 << 12, PageSize::Size4K);
    assert_eq!(gather.requests(), [pages(21, 1)]);
}

#[test]
fn freed_tables_take_everything_over() {
    let freed = [Request::TablesFreed(TableOwner::AddressSpace(pcid()))];
    let mut gather = gathered::<2>(&[1, 3]);
    gather.tables_freed();
    assert_eq!(gather.requests(), freed);
    gather.page(0, PageSize::Size4K);
    gather.address_space();
    assert_eq!(gather.requests(), freed);
    gather.clear();
    gather.page(0x1000, PageSize::Size4K);
    assert_eq!(gather.requests(), [pages(1, 1)]);
    gather.address_space();
    gather.tables_freed();
    assert_eq!(gather.requests(), freed);
    assert_eq!(gather.pcid(), pcid());
}

#[test]
fn the_width_decides_what_is_an_address() {
    let address = 0xff11_0000_0000_0000;
    let mut narrow = gather::<2>();
    narrow.page(address, PageSize::Size4K);
    assert_eq!(narrow.requests(), space());
    let mut wide = Gather::<2>::new(pcid(), LinearAddressWidth::Bits57);
    wide.page(address, PageSize::Size4K);
    let page = PageRange::page_with_width(address, PageSize::Size4K, LinearAddressWidth::Bits57);
    let range = page.unwrap();
    let pcid = pcid();
    assert_eq!(wide.requests(), [Request::Pages { pcid, range }]);
    let mut hole = Gather::<2>::new(pcid, LinearAddressWidth::Bits57);
    hole.page(1 << 60, PageSize::Size4K);
    assert_eq!(hole.requests(), space());
}

#[test]
fn the_last_page_is_a_page_like_any_other() {
    let mut gather = gather::<2>();
    for address in [0, u64::MAX, u64::MAX - 0x1000] {
        gather.page(address, PageSize::Size4K);
    }
    let range = PageRange::new(u64::MAX - 0x1fff, 2, PageSize::Size4K).unwrap();
    let top = Request::Pages {
        pcid: pcid(),
        range,
    };
    assert_eq!(gather.requests(), [pages(0, 1), top]);
}

#[test]
fn a_constant_can_hold_one() {
    const EMPTY: Gather<4> = Gather::with_costs(Pcid::ZERO, WIDTH, CostModel::with_ceiling(8));
    assert!(EMPTY.is_empty());
}

/// Ranges by page number, close together and far apart, at both ends of both halves.
fn range() -> impl Strategy<Value = PageRange> {
    let size = prop_oneof![4 => Just(PageSize::Size4K), 1 => Just(PageSize::Size2M)];
    let count = prop_oneof![6 => Just(1u64), 2 => 2..6u64, 1 => 1..40u64];
    let near = prop_oneof![4 => 0..24u64, 2 => 0..200u64, 1 => 0..4000u64];
    (size, near, count, any::<bool>()).prop_map(|(size, near, count, top)| {
        let near = near * size.bytes();
        let start = if top {
            (near + count * size.bytes()).wrapping_neg()
        } else {
            near
        };
        PageRange::new(start, count, size).unwrap()
    })
}

fn numbers(range: &PageRange) -> impl Iterator<Item = (PageSize, u64)> + use<> {
    let (size, first) = (range.size(), range.start() >> range.size().shift());
    (first..first + range.page_count()).map(move |page| (size, page))
}

/// How many ranges a set of pages consists of.
fn runs(pages: &BTreeSet<(PageSize, u64)>) -> usize {
    let starts = pages.iter().filter(|(size, page)| {
        let before = page.checked_sub(1);
        !before.is_some_and(|before| pages.contains(&(*size, before)))
    });
    starts.count()
}

fn costs() -> impl Strategy<Value = CostModel> {
    let any = (0..400u32, 0..200u32, 0..20_000u32).prop_map(|(entry, page, space)| {
        let costs = CostModel::new();
        costs.with_entry(entry).with_page(page).with_space(space)
    });
    let ceiling = prop::sample::select(vec![33, 63, 1000]).prop_map(CostModel::with_ceiling);
    prop_oneof![ceiling, Just(CostModel::EXACT), Just(CostModel::new()), any]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn everything_gathered_is_covered_and_nothing_else_unless_it_overflows(
        ranges in prop::collection::vec(range(), 1..24), costs in costs(),
    ) {
        let mut gather = Gather::<6>::with_costs(pcid(), WIDTH, costs);
        let mut oracle = BTreeSet::new();
        let mut overflowed = false;
        for range in &ranges {
            if range.page_count() == 1 {
                gather.page(range.start() + 1, range.size());
            } else {
                gather.range(*range);
            }
            oracle.extend(numbers(range));
            let keeps = |pages| costs.keeps(runs(pages) as u64, pages.len() as u64);
            overflowed |= runs(&oracle) > 6 || !keeps(&oracle);

            let requests = gather.requests();
            prop_assert!(!gather.is_empty() && (1..=6).contains(&requests.len()));
            if requests == space() {
                prop_assert!(overflowed);
                continue;
            }
            let mut covered = BTreeSet::new();
            for request in requests {
                let Request::Pages { pcid: own, range } = request else {
                    return Err(TestCaseError::fail("neither pages nor the whole space"));
                };
                prop_assert_eq!(*own, pcid());
                for page in numbers(range) {
                    prop_assert!(covered.insert(page), "{:x?} twice", page);
                }
            }
            prop_assert!(covered.is_superset(&oracle));
            prop_assert!(keeps(&covered));
            prop_assert_eq!(runs(&covered), requests.len(), "ranges touch");
            if !overflowed {
                prop_assert_eq!(&covered, &oracle);
            }
        }
    }
}
