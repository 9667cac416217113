//! A range of pages, by start and count or by its bounds.

use rar_payload::{LinearAddressWidth, PageChunk, PageRange, PageSize};

use crate::input::Input;

/// As many chunks are walked from the start; the rest is judged by its count.
const WALKED: usize = 300;

/// Makes a range of any numbers, and cuts it up.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let size = input.choose(PageSize::ALL);
    let width = input.choose([LinearAddressWidth::Bits48, LinearAddressWidth::Bits57]);
    let way = input.u8() % 3;
    let (one, two) = (input.u64(), input.u64());
    let range = match way {
        0 => PageRange::with_width(one, two, size, width),
        1 => PageRange::from_bounds_with_width(one, two, size, width),
        _ => PageRange::covering_with_width(one, two, size, width),
    };
    let range = match range {
        Ok(range) => range,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let (page, count) = (size.bytes(), range.page_count());
    // As wide numbers: the end of the last range is 2^64.
    let end = u128::from(range.start()) + u128::from(count) * u128::from(page);
    assert!(count > 0 && range.start() % page == 0 && end <= 1 << 64);
    assert_eq!(u128::from(range.last()), end - u128::from(page));
    assert!(width.is_canonical(range.start()) && width.is_canonical(range.last()));
    assert_eq!(range.start() >> 63, range.last() >> 63, "both halves");
    match way {
        0 => assert_eq!((range.start(), count), (one, two)),
        1 => assert_eq!(
            (range.start(), end & u128::from(u64::MAX)),
            (one, two.into())
        ),
        _ => {
            assert!(range.start() <= one && one - range.start() < page);
            assert!(end >= u128::from(one) + u128::from(two));
            assert!(end - (u128::from(one) + u128::from(two)) < u128::from(page) || two == 0);
        }
    }
    let mut next = range.start();
    let mut left = count;
    for chunk in range.chunks().take(WALKED) {
        assert_eq!((chunk.start(), chunk.size()), (next, size));
        let pages = u64::from(chunk.page_count());
        assert!((1..=u64::from(PageChunk::MAX_PAGES)).contains(&pages) && pages <= left);
        left -= pages;
        assert!(
            left == 0 || chunk.page_count() == PageChunk::MAX_PAGES,
            "a short one inside"
        );
        next = next.wrapping_add(pages * page);
    }
    let chunks = count.div_ceil(PageChunk::MAX_PAGES.into());
    assert_eq!(range.chunk_count(), chunks);
    assert_eq!(left == 0, chunks <= WALKED as u64);
}
