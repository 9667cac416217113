//! Ranges at every edge, against a plain account in 128 bits.

use proptest::prelude::*;
use rar_payload::{LinearAddressWidth, PageChunk, PageRange, PageSize, RangeError};

const WIDTHS: [LinearAddressWidth; 2] = [LinearAddressWidth::Bits48, LinearAddressWidth::Bits57];

/// Returns whether every page of the range lies in one half, by looking at first and last byte
/// only.
fn legal(start: u64, pages: u64, size: PageSize, width: LinearAddressWidth) -> bool {
    let (start, pages, size) = (
        u128::from(start),
        u128::from(pages),
        u128::from(size.bytes()),
    );
    let end = start + pages * size;
    let half = 1u128 << (width.bits() - 1);
    let top = 1u128 << 64;
    pages > 0 && start & (size - 1) == 0 && (end <= half || (start >= top - half && end <= top))
}

/// Returns addresses around each edge of the address space, on a grid of half pages.
fn edges(size: PageSize, width: LinearAddressWidth) -> impl Iterator<Item = u64> {
    let half = 1u64 << (width.bits() - 1);
    let step = size.bytes() / 2;
    [0, half, half.wrapping_neg(), 1 << 63]
        .into_iter()
        .flat_map(move |edge| {
            (0..10u64).map(move |i| {
                edge.wrapping_add(step.wrapping_mul(i))
                    .wrapping_sub(step * 5)
            })
        })
}

#[test]
fn exactly_the_legal_ranges_exist() {
    for width in WIDTHS {
        for size in PageSize::ALL {
            for start in edges(size, width) {
                for pages in (0..70).chain([
                    1 << 18,
                    1 << 27,
                    1 << 35,
                    1 << 36,
                    1 << 52,
                    u64::MAX - 1,
                    u64::MAX,
                ]) {
                    let range = PageRange::with_width(start, pages, size, width);
                    assert_eq!(
                        range.is_ok(),
                        legal(start, pages, size, width),
                        "{start:#x} {pages} {size} {width}: {range:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn each_error_carries_what_was_wrong() {
    use PageSize::{Size1G, Size2M, Size4K};
    let width = LinearAddressWidth::Bits48;
    let cases = [
        (
            PageRange::new(0x1000, 0, Size4K),
            RangeError::Empty { start: 0x1000 },
        ),
        (
            PageRange::from_bounds(0x1000, 0x1000, Size4K),
            RangeError::Empty { start: 0x1000 },
        ),
        (
            PageRange::covering(0x1234, 0, Size4K),
            RangeError::Empty { start: 0x1234 },
        ),
        (
            PageRange::from_bounds(0x2000, 0x1000, Size4K),
            RangeError::Reversed {
                start: 0x2000,
                end: 0x1000,
            },
        ),
        (
            PageRange::new(0x1001, 1, Size4K),
            RangeError::Misaligned {
                address: 0x1001,
                size: Size4K,
            },
        ),
        (
            PageRange::new(0x1000, 1, Size2M),
            RangeError::Misaligned {
                address: 0x1000,
                size: Size2M,
            },
        ),
        (
            PageRange::from_bounds(0, 0x20_0000, Size1G),
            RangeError::Misaligned {
                address: 0x20_0000,
                size: Size1G,
            },
        ),
        (
            PageRange::from_bounds(0x800, 0x1000, Size4K),
            RangeError::Misaligned {
                address: 0x800,
                size: Size4K,
            },
        ),
        (
            PageRange::new(1 << 47, 1, Size4K),
            RangeError::NonCanonical {
                address: 1 << 47,
                width,
            },
        ),
        (
            PageRange::page(1 << 47, Size4K),
            RangeError::NonCanonical {
                address: 1 << 47,
                width,
            },
        ),
        (
            PageRange::new(0xffff_ffff_ffff_f000, 2, Size4K),
            RangeError::Wraps {
                start: 0xffff_ffff_ffff_f000,
                pages: 2,
                size: Size4K,
            },
        ),
        (
            PageRange::new(0, 1 << 52 | 1, Size4K),
            RangeError::Wraps {
                start: 0,
                pages: 1 << 52 | 1,
                size: Size4K,
            },
        ),
        (
            PageRange::covering(u64::MAX, 0x1001, Size4K),
            RangeError::Wraps {
                start: u64::MAX,
                pages: 2,
                size: Size4K,
            },
        ),
        (
            PageRange::new(0x7fff_ffff_f000, 2, Size4K),
            RangeError::CrossesHole {
                start: 0x7fff_ffff_f000,
                last: 1 << 47,
            },
        ),
        (
            PageRange::new(0, 1 << 52, Size4K),
            RangeError::CrossesHole {
                start: 0,
                last: 0xffff_ffff_ffff_f000,
            },
        ),
    ];
    for (range, error) in cases {
        assert_eq!(range, Err(error));
    }
}

#[test]
fn an_error_has_the_address_that_is_wrong() {
    let error = RangeError::Wraps {
        start: 0xffff_ffff_ffff_f000,
        pages: 2,
        size: PageSize::Size4K,
    };
    assert_eq!(error.address(), 0xffff_ffff_ffff_f000);
}

#[test]
fn an_exclusive_end_adds_no_page() -> Result<(), RangeError> {
    let range = PageRange::from_bounds(0x1000, 0x3000, PageSize::Size4K)?;
    assert_eq!((range.page_count(), range.last()), (2, 0x2000));
    let lower_half = PageRange::from_bounds(0, 1 << 47, PageSize::Size1G)?;
    assert_eq!(lower_half.last(), 0x7fff_c000_0000);
    Ok(())
}

#[test]
fn covering_rounds_outward_and_no_further() -> Result<(), RangeError> {
    for (start, bytes, first, pages) in [
        (0x1000, 0x1000, 0x1000, 1),
        (0x1000, 0x1001, 0x1000, 2),
        (0x1fff, 1, 0x1000, 1),
        (0x1fff, 2, 0x1000, 2),
        (0x1001, 0x1fff, 0x1000, 2),
        (u64::MAX, 1, 0xffff_ffff_ffff_f000, 1),
        (
            0xffff_8000_0000_0000,
            1 << 47,
            0xffff_8000_0000_0000,
            1 << 35,
        ),
    ] {
        let range = PageRange::covering(start, bytes, PageSize::Size4K)?;
        assert_eq!(
            (range.start(), range.page_count()),
            (first, pages),
            "{start:#x} + {bytes:#x}"
        );
    }
    let wide =
        PageRange::covering_with_width(1 << 47, 1, PageSize::Size2M, LinearAddressWidth::Bits57)?;
    assert_eq!(
        (wide.start(), wide.page_count(), wide.size()),
        (1 << 47, 1, PageSize::Size2M)
    );
    Ok(())
}

#[test]
fn contains_ends_where_the_range_does() -> Result<(), RangeError> {
    let range = PageRange::new(0x4000, 3, PageSize::Size4K)?;
    for (address, inside) in [
        (0x3fff, false),
        (0x4000, true),
        (0x6fff, true),
        (0x7000, false),
    ] {
        assert_eq!(range.contains(address), inside, "{address:#x}");
    }
    let top = PageRange::page(u64::MAX, PageSize::Size1G)?;
    assert!(top.contains(u64::MAX) && top.contains(0xffff_ffff_c000_0000));
    assert!(!top.contains(0xffff_ffff_bfff_ffff) && !top.contains(0));
    Ok(())
}

#[test]
fn a_chunk_holds_at_most_63_pages() -> Result<(), RangeError> {
    for pages in 1..=130 {
        let range = PageRange::new(0x1000, pages, PageSize::Size4K)?;
        match PageChunk::try_from(range) {
            Ok(chunk) => {
                assert!(pages <= 63);
                assert_eq!(PageRange::from(chunk), range);
                assert_eq!(
                    (u64::from(chunk.page_count()), chunk.last()),
                    (pages, range.last())
                );
            }
            Err(error) => {
                assert!(pages > 63);
                assert_eq!(error.pages, pages);
            }
        }
    }
    Ok(())
}

#[test]
fn the_length_of_chunks_counts_down_and_stays_at_its_end() -> Result<(), RangeError> {
    let mut chunks = PageRange::new(0x1000, 127, PageSize::Size4K)?.chunks();
    for left in (0..3).rev() {
        assert!(chunks.next().is_some());
        assert_eq!(chunks.len(), left);
        assert_eq!(chunks.size_hint(), (left, Some(left)));
    }
    assert_eq!((chunks.next(), chunks.next()), (None, None));
    Ok(())
}

#[test]
fn the_largest_ranges_are_counted() -> Result<(), RangeError> {
    let half = PageRange::with_width(0, 1 << 44, PageSize::Size4K, LinearAddressWidth::Bits57)?;
    assert_eq!(half.chunk_count(), (1u64 << 44).div_ceil(63));
    assert_eq!(half.chunks().len() as u64, half.chunk_count());
    Ok(())
}

fn any_size() -> impl Strategy<Value = PageSize> {
    proptest::sample::select(PageSize::ALL.to_vec())
}

fn any_width() -> impl Strategy<Value = LinearAddressWidth> {
    proptest::sample::select(WIDTHS.to_vec())
}

proptest! {
    #[test]
    fn ranges_agree_with_the_plain_account(
        start: u64, shift in 0u32..64, pages: u64, fewer in 0u32..64, align: bool,
            size in any_size(), width in any_width(),
    ) {
        let start = (start as i64 >> shift) as u64;
        let start = if align { start & !(size.bytes() - 1) } else { start };
        let pages = pages >> fewer;
        let range = PageRange::with_width(start, pages, size, width);
        prop_assert_eq!(range.is_ok(), legal(start, pages, size, width));
        if let Ok(range) = range {
            prop_assert!(range.contains(range.start())
                && range.contains(range.last() + (size.bytes() - 1)));
            prop_assert!(!range.contains(range.start().wrapping_sub(1)));
        }
    }

    #[test]
    fn covering_holds_first_and_last_byte_and_is_tight(
        start: u64, shift in 0u32..64, bytes: u64, fewer in 0u32..64, size in any_size(),
            width in any_width(),
    ) {
        let start = (start as i64 >> shift) as u64;
        let bytes = bytes >> fewer;
        if let Ok(range) = PageRange::covering_with_width(start, bytes, size, width) {
            let last_byte = start + (bytes - 1);
            prop_assert!(range.start() <= start && start - range.start() < size.bytes());
            prop_assert!(range.last() <= last_byte && last_byte - range.last() < size.bytes());
        } else {
            // No legal range of whole pages holds these bytes.
            let end = u128::from(start) + u128::from(bytes);
            let half = 1u128 << (width.bits() - 1);
            let in_low = end <= half;
            let in_high = u128::from(start) >= (1 << 64) - half && end <= 1 << 64;
            prop_assert!(bytes == 0 || !(in_low || in_high));
        }
    }
}
