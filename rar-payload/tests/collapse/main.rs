//! Each step of the collapse, against an account in sets of pages that knows no range.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod properties;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rar_payload::{
    CostModel, Globals, InvpcidScope, Operation, OperationList, PageRange, PageSize, Pcid, Request,
    TableOwner,
};

const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

fn pcid(number: u16) -> Pcid {
    Pcid::new(number).unwrap()
}

fn pages(number: u16, start: u64, count: u64) -> Request {
    pages_of(number, start, count, PageSize::Size4K)
}

fn pages_of(number: u16, start: u64, count: u64, size: PageSize) -> Request {
    let range = PageRange::new(start * size.bytes(), count, size).unwrap();
    Request::Pages {
        pcid: pcid(number),
        range,
    }
}

const fn context(pcid: Pcid) -> Operation {
    Operation::Invpcid(InvpcidScope::Context { pcid })
}

const fn all(globals: Globals) -> Operation {
    Operation::Invpcid(InvpcidScope::AllContexts(globals))
}

#[track_caller]
fn assert_collapses(requests: &[Request], limit: usize, expected: &[Operation], exact: bool) {
    let collapsed = Request::collapse(requests, limit, &CostModel::EXACT);
    assert_eq!(collapsed.operations.as_slice(), expected, "{requests:?}");
    assert_eq!(collapsed.exact, exact, "{requests:?}");
    assert_eq!(collapsed.crowded, !exact, "{requests:?}");
}

fn operations(requests: &[Request]) -> Vec<Operation> {
    requests.iter().flat_map(Request::operations).collect()
}

#[test]
fn what_fits_stays_as_it_is() {
    let kernel = Request::TablesFreed(TableOwner::Kernel);
    for requests in [
        &[pages(1, 0x400, 1)] as &[Request],
        &[pages(1, 0x400, 252)],
        &[pages(1, 0x400, 63), pages(1, 0x400, 63), pages(2, 0, 64)],
        &[
            kernel,
            kernel,
            pages(1, 0, 1),
            Request::AddressSpace { pcid: pcid(1) },
        ],
    ] {
        assert_collapses(requests, 4, &operations(requests), true);
    }
}

#[test]
fn adjacent_pages_in_any_order_become_one_chunk() {
    let chunk = operations(&[pages(1, 0x400, 5)]);
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let requests = order.map(|page| pages(1, 0x400 + page, 1));
        assert_collapses(&requests, 4, &chunk, true);
        assert_collapses(&requests, 1, &chunk, true);
    }
}

#[test]
fn overlaps_and_repetitions_count_once() {
    let requests = [
        pages(1, 10, 100),
        pages(1, 10, 100),
        pages(1, 50, 76),
        pages(2, 0, 1),
    ];
    let expected = operations(&[pages(1, 10, 116), pages(2, 0, 1)]);
    assert_collapses(&requests, 3, &expected, true);
}

/// 256 pages are looked at together, from the first that is named on.
#[test]
fn a_range_that_goes_on_behind_what_is_looked_at_together_is_whole() {
    for start in [2, 0x400, 0x1_0000] {
        let requests = [
            pages(1, start + 250, 3),
            pages(1, start, 1),
            pages(1, start + 253, 30),
        ];
        let expected = operations(&[pages(1, start, 1), pages(1, start + 250, 33)]);
        assert_collapses(&requests, 2, &expected, true);
    }
}

#[test]
fn sizes_are_never_merged() {
    let requests = [
        pages_of(1, 1, 1, PageSize::Size2M),
        pages(1, 0x200, 1),
        pages(1, 0x3ff, 1),
        pages_of(1, 0, 1, PageSize::Size2M),
        pages(1, 0x3fe, 1),
    ];
    let expected = operations(&[
        pages(1, 0x200, 1),
        pages(1, 0x3fe, 2),
        pages_of(1, 0, 2, PageSize::Size2M),
    ]);
    assert_collapses(&requests, 3, &expected, true);
    assert_collapses(&requests, 2, &[context(pcid(1))], false);
}

#[test]
fn the_top_of_the_address_space_is_merged_and_does_not_touch_its_bottom() {
    let top = PageRange::new(KERNEL_HALF, 1 << 35, PageSize::Size4K).unwrap();
    let last = PageRange::page(u64::MAX, PageSize::Size4K).unwrap();
    let [half, page] = [top, last].map(|range| Request::Pages {
        pcid: pcid(1),
        range,
    });
    let expected = operations(&[pages(1, 0, 1), page]);
    assert_collapses(&[page, pages(1, 0, 1), page], 2, &expected, true);
    assert_collapses(&[page, half], 4, &[context(pcid(1))], false);
}

#[test]
fn what_a_larger_request_covers_is_dropped() {
    let space = Request::AddressSpace { pcid: pcid(1) };
    let freed = Request::TablesFreed(TableOwner::AddressSpace(pcid(1)));
    let sparing = Request::Everything {
        globals: Globals::Exclude,
    };
    let kernel = Request::GlobalPages {
        range: PageRange::page(KERNEL_HALF, PageSize::Size4K).unwrap(),
    };
    let far = pages(1, 0, 1000);
    assert_collapses(&[far, space, freed], 1, &[context(pcid(1))], true);
    let expected = [all(Globals::Exclude)];
    assert_collapses(&[far, sparing, pages(2, 0, 1)], 2, &expected, true);
    let expected = [all(Globals::Include)];
    assert_collapses(&[far, sparing, kernel, pages(2, 0, 1)], 2, &expected, true);
}

#[test]
fn page_table_isolation_stays_with_its_two_address_spaces() {
    let requests = [pages(5, 0x400, 130), pages(0x805, 0x400, 130)];
    let expected = [context(pcid(5)), context(pcid(0x805))];
    for limit in [2, 3] {
        assert_collapses(&requests, limit, &expected, false);
    }
    let mut expected = vec![context(pcid(5))];
    expected.extend(operations(&requests[1..]));
    assert_collapses(&requests, 4, &expected, false);
    assert_collapses(&requests, 1, &[all(Globals::Exclude)], false);
}

#[test]
fn the_space_with_the_most_operations_is_widened_first() {
    let requests = [pages(1, 0, 1), pages(2, 0, 190), pages(3, 0, 64)];
    let mut expected = operations(&requests[..1]);
    expected.push(context(pcid(2)));
    expected.extend(operations(&requests[2..]));
    assert_collapses(&requests, 4, &expected, false);
    let expected = [expected[0], context(pcid(2)), context(pcid(3))];
    assert_collapses(&requests, 3, &expected, false);
}

/// 36 pages in one entry, 33 in four.
#[test]
fn pages_that_cost_more_than_their_space_are_not_flushed_one_by_one() {
    let collapse =
        |requests: &[Request]| Request::collapse(requests, 4, &CostModel::new().with_space(3_600));
    for (requests, is_exact) in [
        (&[pages(1, 0, 36)] as &[Request], true),
        (&[pages(1, 0, 37)], false),
        (&[pages(1, 0, 1_000)], false),
        (
            &[
                pages(1, 0, 30),
                pages(1, 40, 1),
                pages(1, 42, 1),
                pages(1, 44, 1),
            ],
            true,
        ),
        (
            &[
                pages(1, 0, 31),
                pages(1, 40, 1),
                pages(1, 42, 1),
                pages(1, 44, 1),
            ],
            false,
        ),
        (
            &[pages_of(1, 0, 30, PageSize::Size2M), pages(1, 0, 5)],
            true,
        ),
        (
            &[pages_of(1, 0, 31, PageSize::Size2M), pages(1, 0, 5)],
            false,
        ),
        // Each page counts once.
        (&[pages(1, 0, 36), pages(1, 0, 36), pages(1, 4, 20)], true),
    ] {
        let collapsed = collapse(requests);
        assert_eq!(collapsed.exact, is_exact, "{requests:?}");
        assert!(!collapsed.crowded, "{requests:?}");
        let is_whole = collapsed.operations.as_slice() == [context(pcid(1))];
        assert_eq!(is_whole, !is_exact, "{requests:?}");
    }
    // Each space by itself: one is dear, the other is not, and together they are.
    let requests = [pages(5, 0, 37), pages(0x805, 0, 36)];
    let expected = [context(pcid(5)), operations(&requests[1..])[0]];
    assert_eq!(collapse(&requests).operations.as_slice(), expected);
    let requests = [pages(5, 0, 36), pages(0x805, 0, 36)];
    let collapsed = collapse(&requests);
    assert_eq!(collapsed.operations.as_slice(), operations(&requests));
    assert!(collapsed.exact);
    // What is too dear needs no room.
    let requests = [
        pages(1, 0, 100),
        pages(2, 0, 1),
        pages(2, 2, 1),
        pages(2, 4, 1),
    ];
    let collapsed = collapse(&requests);
    assert_eq!(collapsed.operations.len(), 4);
    assert!(!collapsed.exact && !collapsed.crowded);
}

#[test]
fn a_list_shows_its_operations_in_each_way() {
    let list = Request::collapse(&[pages(1, 0, 64)], 4, &CostModel::EXACT).operations;
    assert_eq!((list.len(), list.is_empty()), (2, false));
    assert_eq!(list.as_ref(), list.as_slice());
    assert!(list.into_iter().eq(list.as_slice()));
    assert_eq!(OperationList::default(), OperationList::EMPTY);
    assert_eq!(OperationList::EMPTY.as_slice(), []);
}

#[cfg(feature = "unverified")]
mod virtualization {
    use super::*;
    use rar_payload::{Eptp, InveptScope, InvvpidScope, Vpid};

    fn ept(page: u64) -> Request {
        Request::Ept {
            eptp: Eptp::new(page << 12 | 0x1e).unwrap(),
        }
    }

    fn vpid(number: u16) -> Request {
        Request::Vpid {
            vpid: Vpid::new(number).unwrap(),
        }
    }

    fn guest(number: u16, count: u64) -> Request {
        let range = PageRange::new(0x1000, count, PageSize::Size4K).unwrap();
        Request::VpidPages {
            vpid: Vpid::new(number).unwrap(),
            range,
        }
    }

    const EVERY_EPT: Operation = Operation::Invept(InveptScope::Global);
    const EVERY_VPID: Operation = Operation::Invvpid(InvvpidScope::AllContexts);

    #[test]
    fn no_kind_covers_another() {
        let everything = Request::Everything {
            globals: Globals::Include,
        };
        let requests = [everything, ept(1), vpid(1)];
        for limit in 0..=4 {
            assert_collapses(&requests, limit, &operations(&requests), true);
        }
    }

    #[test]
    fn a_kind_that_is_flushed_as_a_whole_takes_room_from_the_others() {
        let everything = Request::Everything {
            globals: Globals::Include,
        };
        let requests = [everything, everything, guest(1, 252)];
        let expected = [everything.widened(), vpid(1).widened()];
        assert_collapses(&requests, 4, &expected, false);
        let mut expected = vec![everything.widened()];
        expected.extend(guest(1, 189).operations());
        assert_collapses(&[everything, everything, guest(1, 189)], 4, &expected, true);
    }

    #[test]
    fn too_many_of_a_kind_become_every_one_of_the_kind() {
        let requests = [1, 2, 3, 4, 5].map(ept);
        assert_collapses(&requests, 4, &[EVERY_EPT], false);
        let mut requests = requests.to_vec();
        requests.extend([vpid(1), vpid(1), pages(1, 0, 1)]);
        let expected = [
            operations(&[pages(1, 0, 1)])[0],
            EVERY_EPT,
            vpid(1).widened(),
        ];
        let collapsed = Request::collapse(&requests, 3, &CostModel::EXACT);
        assert_eq!(collapsed.operations.len(), 3);
        for operation in expected {
            assert!(collapsed.operations.as_slice().contains(&operation));
        }
        let requests = [1, 2, 3, 4, 5].map(vpid);
        assert_collapses(&requests, 2, &[EVERY_VPID], false);
        assert_collapses(&[requests[0], Request::EveryVpid], 1, &[EVERY_VPID], true);
        assert_collapses(&[ept(1), Request::EveryEpt], 1, &[EVERY_EPT], true);
    }

    #[test]
    fn pages_of_a_virtual_processor_are_cut_merged_and_widened_like_others() {
        let requests = [guest(1, 100)];
        assert_eq!(requests[0].operations().len(), 2);
        assert_collapses(&requests, 2, &operations(&requests), true);
        assert_collapses(&requests, 1, &[vpid(1).widened()], false);
        assert_collapses(&[guest(1, 63); 3], 1, &operations(&[guest(1, 63)]), true);
    }
}
