//! Ranges at every edge of the address space, cut into chunks and counted page by page.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use rar_payload::{LinearAddressWidth, PageChunk, PageRange, PageSize, RangeError};

/// Some pages in a row, in numbers that have room for the end of the address space.
#[derive(Clone, Copy, Debug)]
struct Pages {
    width: LinearAddressWidth,
    size: PageSize,
    start: u128,
    count: u128,
}

impl Pages {
    fn end(&self) -> u128 {
        self.start + self.count * u128::from(self.size.bytes())
    }

    fn range(&self) -> Result<PageRange, RangeError> {
        let (start, count) = (low(self.start), low(self.count));
        PageRange::with_width(start, count, self.size, self.width)
    }
}

fn low(number: u128) -> u64 {
    number.try_into().unwrap()
}

/// The four ends of the two halves: 0, the hole's sides, and the top.
fn edges(width: LinearAddressWidth) -> [u128; 4] {
    let half = match width {
        LinearAddressWidth::Bits48 => 1 << 47,
        LinearAddressWidth::Bits57 => 1 << 56,
    };
    [0, half, (1 << 64) - half, 1 << 64]
}

/// Legal pages that begin or end at an edge, or up to two pages away from it.
fn at_edges(most: u64) -> impl Strategy<Value = Pages> {
    let width = prop::sample::select(vec![LinearAddressWidth::Bits48, LinearAddressWidth::Bits57]);
    let size = prop::sample::select(PageSize::ALL.to_vec());
    let around_full = (1..=4u64, 0..3u64).prop_map(|(chunks, extra)| 63 * chunks + extra - 1);
    let count = prop_oneof![1..=130u64, 1..=most, around_full];
    (width, size, 0..4usize, count, 0..3u64).prop_map(|(width, size, edge, count, away)| {
        let bytes = u128::from(size.bytes());
        let (count, away) = (u128::from(count), u128::from(away) * bytes);
        let start = match (edge, edges(width)) {
            (0, [bottom, ..]) => bottom + away,
            (1, [_, hole, ..]) => hole - away - count * bytes,
            (2, [_, _, hole, _]) => hole + away,
            (_, [.., top]) => top - away - count * bytes,
        };
        Pages {
            width,
            size,
            start,
            count,
        }
    })
}

/// The chunks are the pages: each page once, in order, and no other; all but the last chunk are
/// full.
fn check(pages: Pages) -> Result<(), TestCaseError> {
    let range = pages.range().unwrap();
    prop_assert_eq!(u128::from(range.start()), pages.start);
    prop_assert_eq!(u128::from(range.page_count()), pages.count);
    let chunks: Vec<PageChunk> = range.chunks().collect();
    prop_assert_eq!(chunks.len() as u64, range.chunk_count());
    prop_assert_eq!(chunks.len(), range.chunks().len());
    let mut next = pages.start;
    for (chunk, place) in chunks.iter().zip(1..) {
        prop_assert_eq!(chunk.size(), pages.size);
        prop_assert!(chunk.page_count() == 63 || chunk.page_count() > 0 && place == chunks.len());
        prop_assert!(chunk.page_count() <= 63);
        prop_assert_eq!(u128::from(chunk.start()), next);
        next += u128::from(chunk.page_count()) * u128::from(pages.size.bytes());
        prop_assert_eq!(
            u128::from(chunk.last()),
            next - u128::from(pages.size.bytes())
        );
        prop_assert_eq!(chunk.range().page_count(), u64::from(chunk.page_count()));
        prop_assert_eq!(PageChunk::new(chunk.range()), Ok(*chunk));
    }
    prop_assert_eq!(next, pages.end());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn chunks_are_exactly_the_range_at_every_edge(pages in at_edges(5000)) {
        check(pages)?;
    }

    /// One page more or one step further is across the edge, and no range any more.
    #[test]
    fn nothing_reaches_past_an_edge(pages in at_edges(5000), further in 1..5000u128,
        over_the_hole: bool) {
        let (bytes, edges) = (pages.size.bytes(), edges(pages.width));
        let room = edges.into_iter().find(|edge| *edge >= pages.end()).unwrap() - pages.end();
        let more = pages.count + room / u128::from(bytes);
        let all = Pages { count: more, ..pages };
        prop_assert!(all.range().is_ok());
        let [_, hole, above, _] = edges;
        let hole = if over_the_hole { (above - hole) / u128::from(bytes) } else { 0 };
        let beyond = Pages { count: more + hole + further, ..pages };
        prop_assert!(beyond.range().is_err());
    }

    #[test]
    fn a_range_contains_its_bytes_and_no_other(pages in at_edges(5000), at in any::<u64>()) {
        let range = pages.range().unwrap();
        let inside = pages.start + u128::from(at) % (pages.end() - pages.start);
        let around =
            [pages.start.wrapping_sub(1), pages.start, inside, pages.end() - 1, pages.end(),
                u128::from(at)];
        for address in around.into_iter().filter_map(|address| u64::try_from(address).ok()) {
            let expected = (pages.start..pages.end()).contains(&u128::from(address));
            prop_assert_eq!(range.contains(address), expected, "{:#x}", address);
        }
    }

    /// An exclusive end names the same pages, where 64 bits can name it.
    #[test]
    fn between_is_the_same_range(pages in at_edges(5000), off in 0..=1u64) {
        let start = low(pages.start);
        let Ok(end) = u64::try_from(pages.end()) else {
            return Ok(());
        };
        let same = PageRange::new(start, low(pages.count), pages.size);
        prop_assert_eq!(PageRange::from_bounds(start, end, pages.size), same);
        let misaligned = RangeError::Misaligned { address: end - 1, size: pages.size };
        prop_assert_eq!(PageRange::from_bounds(start, end - 1, pages.size), Err(misaligned));
        let (start, end) = (end + off, start);
        prop_assert_eq!(PageRange::from_bounds(start, end, pages.size),
            Err(RangeError::Reversed { start, end }));
    }

    /// Any bytes of the first and the last page stand for the whole range; one byte more is one
    /// page more.
    #[test]
    fn covering_is_the_same_range(pages in at_edges(5000), cut in any::<[u64; 2]>()) {
        let bytes = u128::from(pages.size.bytes());
        let [head, tail] = cut.map(|cut| u128::from(cut) % bytes);
        let first = pages.start + head;
        let last = (pages.end() - 1 - tail).max(first);
        let (start, length) = (low(first), low(last - first + 1));
        let range = PageRange::covering_with_width(start, length, pages.size, pages.width);
        prop_assert_eq!(range, pages.range());
        let range =
            PageRange::covering_with_width(start, low(pages.end() - first + 1), pages.size,
                pages.width);
        prop_assert_eq!(range,
            Pages { count: pages.count + 1, ..pages }.range().map_err(|error|
                reported_at(error, start)));
    }
}

/// A range of bytes is reported by its first byte, the pages by their first page.
fn reported_at(error: RangeError, start: u64) -> RangeError {
    match error {
        RangeError::Wraps { pages, size, .. } => RangeError::Wraps { start, pages, size },
        other => other,
    }
}

#[test]
fn every_small_count_at_every_edge() -> Result<(), TestCaseError> {
    for width in [LinearAddressWidth::Bits48, LinearAddressWidth::Bits57] {
        let [bottom, hole, above, top] = edges(width);
        for size in PageSize::ALL {
            for count in 1..=260 {
                let bytes = count * u128::from(size.bytes());
                for start in [bottom, hole - bytes, above, top - bytes] {
                    check(Pages {
                        width,
                        size,
                        start,
                        count,
                    })?;
                }
            }
        }
    }
    Ok(())
}
