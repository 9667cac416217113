//! What a kernel gathers before one flush: requests and operations reach every page of it.

use std::collections::BTreeSet;

use rar_payload::{
    CostModel, Gather, InvpcidScope, LinearAddressWidth, Operation, PageRange, PageSize, Pcid,
    Request,
};

use crate::input::Input;

/// How many ranges the gatherer has room for.
const ROOM: usize = 4;

/// As many steps are taken at most.
const STEPS: usize = 64;

/// A page: its size, and its number among pages of that size.
type Page = (PageSize, u64);

fn numbers(start: u64, count: u64, size: PageSize) -> impl Iterator<Item = Page> {
    let first = start >> size.shift();
    (first..first + count).map(move |page| (size, page))
}

/// Adds pages, ranges, freed tables; then compares with the set of pages.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Ok(pcid) = Pcid::new(input.u16() & 0xfff) else {
        return;
    };
    let costs = input.choose([
        CostModel::EXACT,
        CostModel::new(),
        CostModel::with_ceiling(33),
    ]);
    let limit = usize::from(input.u8() % 6);
    let mut gather = Gather::<ROOM>::with_costs(pcid, LinearAddressWidth::Bits48, costs);
    let mut wanted = BTreeSet::new();
    let mut whole_space = false;
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        let kind = input.u8();
        let size = if kind & 0x40 == 0 {
            PageSize::Size4K
        } else {
            PageSize::Size2M
        };
        let near = u64::from(input.u16() & 0x3ff) * size.bytes();
        let start = if kind & 0x80 == 0 {
            near
        } else {
            (near + (64 << 21)).wrapping_neg()
        };
        let count = u64::from(input.u8() % 64);
        match kind & 0x3f {
            0 => {
                gather.tables_freed();
                whole_space = true;
            }
            1 => {
                gather.address_space();
                whole_space = true;
            }
            2..0x20 => {
                gather.page(start | u64::from(kind), size);
                wanted.extend(numbers(start, 1, size));
            }
            _ => {
                let start = start & !(size.bytes() - 1);
                if let Ok(range) = PageRange::new(start, count, size) {
                    gather.range(range);
                    wanted.extend(numbers(start, count, size));
                }
            }
        }
    }
    let requests = gather.requests();
    assert_eq!(gather.is_empty(), wanted.is_empty() && !whole_space);
    assert!(requests.len() <= ROOM);
    let covered_by_requests = requests.iter().map(|request| reach(request, pcid));
    check(&wanted, whole_space, covered_by_requests);

    let collapsed = Request::collapse(requests, limit, &costs);
    assert!(collapsed.operations.len() <= limit.clamp(1, 4));
    let covered = collapsed.operations.into_iter();
    check(
        &wanted,
        whole_space,
        covered.map(|operation| carried_out(operation, pcid)),
    );
}

/// What something reaches: pages, or the whole space.
enum Reach {
    Pages(BTreeSet<Page>),
    Space,
}

fn reach(request: &Request, pcid: Pcid) -> Reach {
    match *request {
        Request::Pages { pcid: own, range } => {
            assert_eq!(own, pcid);
            Reach::Pages(numbers(range.start(), range.page_count(), range.size()).collect())
        }
        _ => Reach::Space,
    }
}

fn carried_out(operation: &Operation, pcid: Pcid) -> Reach {
    match *operation {
        Operation::Invpcid(InvpcidScope::Pages { pcid: own, pages }) => {
            assert_eq!(own, pcid);
            let count = u64::from(pages.page_count());
            Reach::Pages(numbers(pages.start(), count, pages.size()).collect())
        }
        Operation::Invpcid(InvpcidScope::Context { pcid: own }) => {
            assert_eq!(own, pcid);
            Reach::Space
        }
        _ => Reach::Space,
    }
}

fn check(wanted: &BTreeSet<Page>, whole_space: bool, all: impl Iterator<Item = Reach>) {
    let mut pages = BTreeSet::new();
    let mut space = false;
    for one in all {
        match one {
            Reach::Pages(some) => pages.extend(some),
            Reach::Space => space = true,
        }
    }
    let missing = wanted.iter().find(|page| !space && !pages.contains(page));
    assert_eq!(missing, None, "a page that was gathered is not flushed");
    assert!(space || !whole_space, "the whole space was asked for");
}
