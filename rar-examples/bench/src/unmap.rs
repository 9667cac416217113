//! What an unmap gathers, what that becomes, and its flush.

use std::hint::black_box;

use rar_payload::{
    CostModel, Gather, LinearAddressWidth, OperationList, PageRange, PageSize, Pcid, Request,
};
use rar_percpu::LifeCycleError;
use rar_shootdown::Policy;

use crate::bed::{Answers, Bed};
use crate::count::Counter;
use crate::size::{ADDRESS, Size};

/// Fills a gatherer with what was unmapped.
type Unmap = fn(&mut Gather<4>);

/// Counts all of it but the flushes.
pub(crate) fn count(counter: &mut Counter) {
    let Ok(pcid) = Pcid::new(5) else { return };
    gathered(counter, "gather, 8 pages apart", pcid, 2, 8);
    gathered(counter, "gather, 8 pages in a row", pcid, 1, 1);
    for many in [16, 64, 256] {
        let shuffled = |at: u64| at * 11 % many;
        collapsed(counter, "in a row", pcid, (0..many).map(shuffled));
        collapsed(counter, "apart", pcid, (0..many).map(|at| 2 * shuffled(at)));
    }
}

/// Eight pages, one after the other.
fn gathered(counter: &mut Counter, name: &str, pcid: Pcid, stride: u64, ranges: usize) {
    counter.case(name, || {
        let mut gather = Gather::<8>::new(pcid, LinearAddressWidth::Bits48);
        for at in 0..8 {
            gather.page(ADDRESS + black_box(at) * stride * 0x1000, PageSize::Size4K);
        }
        black_box(gather.requests()).len() == ranges
    });
}

/// Pages in no order, a request each.
fn collapsed(counter: &mut Counter, name: &str, pcid: Pcid, pages: impl Iterator<Item = u64>) {
    let requests: Vec<_> = pages.filter_map(|at| page(pcid, at)).collect();
    let name = format!("collapse, {} pages {name}", requests.len());
    counter.case(&name, || {
        let requests = black_box(requests.as_slice());
        let costs = black_box(&CostModel::EXACT);
        let collapsed = Request::collapse(requests, OperationList::MAX, costs);
        !black_box(collapsed.operations.as_slice()).is_empty()
    });
}

/// Counts flushes of what an unmap gathered.
pub(crate) fn count_flushes(counter: &mut Counter, size: Size) -> Result<(), LifeCycleError> {
    match size.words {
        1 => flushes::<1>(counter, size),
        4 => flushes::<4>(counter, size),
        _ => flushes::<16>(counter, size),
    }
}

fn flushes<const WORDS: usize>(counter: &mut Counter, size: Size) -> Result<(), LifeCycleError> {
    let kinds: [(&str, Unmap); 3] = [
        ("4 pages apart", |gather| add_pages(gather, 4, 2)),
        ("100 pages", |gather| add_pages(gather, 100, 1)),
        ("freed tables", |gather| {
            add_pages(gather, 4, 1);
            gather.tables_freed();
        }),
    ];
    let names = kinds.map(|(kind, _)| format!("unmap, {kind} {size}"));
    let Ok(pcid) = Pcid::new(5) else {
        return Ok(());
    };
    if !names.iter().any(|name| counter.wants(name)) {
        return Ok(());
    }
    let bed = Bed::<WORDS>::new(size.targets, Answers::Microcode, Policy::new())?;
    let Bed {
        shootdown,
        cpu,
        space,
        ..
    } = &bed;
    for (name, (_, fill)) in names.iter().zip(kinds) {
        counter.case(name, || {
            let (shootdown, cpu, space) = black_box((*shootdown, cpu, *space));
            let mut gather = Gather::<4>::new(pcid, LinearAddressWidth::Bits48);
            black_box(fill)(&mut gather);
            shootdown.flush(cpu, gather.requests(), space).is_ok()
        });
    }
    if shootdown.statistics() != rar_shootdown::Statistics::default() {
        counter.fail("unmap", "the ordinary way was left");
    }
    Ok(())
}

fn add_pages(gather: &mut Gather<4>, count: u64, stride: u64) {
    for at in 0..count {
        gather.page(ADDRESS + at * stride * 0x1000, PageSize::Size4K);
    }
}

fn page(pcid: Pcid, at: u64) -> Option<Request> {
    let range = PageRange::page(ADDRESS + at * 0x1000, PageSize::Size4K).ok()?;
    Some(Request::Pages { pcid, range })
}
