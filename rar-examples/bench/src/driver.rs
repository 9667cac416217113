//! The driver: flushes, by what they flush and on how many CPUs.

use std::hint::black_box;

use rar_payload::{CostModel, PageRange, PageSize, Pcid, Request};
use rar_percpu::{LifeCycleError, SlotIndex};
use rar_shootdown::{AllOnline, Policy};

use crate::bed::{Answers, Bed, Signal};
use crate::count::Counter;
use crate::size::{ADDRESS, Size, golden};

/// A flush of one page on `size`, whole and in its parts.
pub(crate) fn count(counter: &mut Counter, size: Size) -> Result<(), LifeCycleError> {
    match size.words {
        1 => flush::<1>(counter, size),
        4 => flush::<4>(counter, size),
        _ => flush::<16>(counter, size),
    }
}

fn flush<const WORDS: usize>(counter: &mut Counter, size: Size) -> Result<(), LifeCycleError> {
    let names = ["flush", "start", "start and wait", "poll"].map(|name| format!("{name} {size}"));
    let [flush, start, start_and_wait, poll] = &names;
    if !names.iter().any(|name| counter.wants(name)) {
        return Ok(());
    }
    let bed = Bed::<WORDS>::new(size.targets, Answers::Microcode, Policy::new())?;
    let Some(request) = page() else {
        counter.fail(flush, "no such page");
        return Ok(());
    };
    let requests = [request];
    check(counter, flush, &bed, &requests, 1);
    let Bed {
        shootdown,
        cpu,
        space,
        ..
    } = &bed;
    counter.case(flush, || {
        let (shootdown, cpu, requests, space) = black_box((*shootdown, cpu, &requests, *space));
        shootdown.flush(cpu, requests, space).is_ok()
    });
    counter.case(start_and_wait, || {
        let (shootdown, cpu, requests, space) = black_box((*shootdown, cpu, &requests, *space));
        shootdown.start(cpu, requests, space, ()).wait(cpu).is_ok()
    });
    let mut pending = None;
    counter.staged(
        start,
        &mut pending,
        |pending| *pending = None,
        |pending| {
            let (shootdown, cpu, requests, space) = black_box((*shootdown, cpu, &requests, *space));
            *pending = Some(shootdown.start(cpu, requests, space, ()));
            true
        },
        |pending| {
            pending
                .take()
                .is_some_and(|pending| pending.wait(cpu).is_ok())
        },
    );
    counter.staged(
        poll,
        &mut pending,
        |pending| {
            bed.set_signal(Signal::Uncounted);
            *pending = Some(shootdown.start(cpu, &requests, *space, ()));
            bed.set_signal(Signal::Outside);
        },
        |pending| {
            black_box(pending)
                .as_mut()
                .is_some_and(|pending| pending.poll(black_box(cpu)).is_ready())
        },
        |pending| {
            pending
                .take()
                .is_some_and(|pending| pending.wait(cpu).is_ok())
        },
    );
    if shootdown.statistics() != rar_shootdown::Statistics::default() {
        counter.fail(flush, "the ordinary way was left");
    }
    Ok(())
}

/// Flushes of other things than one page.
pub(crate) fn count_requests(counter: &mut Counter, size: Size) -> Result<(), LifeCycleError> {
    match size.words {
        1 => requests::<1>(counter, size),
        4 => requests::<4>(counter, size),
        _ => requests::<16>(counter, size),
    }
}

fn requests<const WORDS: usize>(counter: &mut Counter, size: Size) -> Result<(), LifeCycleError> {
    let kinds = kinds();
    let name = |kind: &str| format!("flush, {kind} {size}");
    let kernel = name("kernel page");
    if !kinds.iter().any(|(kind, ..)| counter.wants(&name(kind))) && !counter.wants(&kernel) {
        return Ok(());
    }
    let mut policy = Policy::new();
    // Entries are what is counted.
    policy.costs = CostModel::EXACT;
    let bed = Bed::<WORDS>::new(size.targets, Answers::Microcode, policy)?;
    let Bed {
        shootdown,
        cpu,
        space,
        ..
    } = &bed;
    for (kind, requests, operations) in &kinds {
        let name = name(kind);
        check(counter, &name, &bed, requests, *operations);
        counter.case(&name, || {
            let (shootdown, cpu, requests, space) =
                black_box((*shootdown, cpu, requests.as_slice(), *space));
            shootdown.flush(cpu, requests, space).is_ok()
        });
    }
    let pages = PageRange::page(0xffff_8000_0000_0000, PageSize::Size4K);
    let requests: Vec<_> = pages
        .into_iter()
        .map(|range| Request::GlobalPages { range })
        .collect();
    counter.case(&kernel, || {
        let (shootdown, cpu, requests) = black_box((*shootdown, cpu, requests.as_slice()));
        shootdown.flush(cpu, requests, &AllOnline).is_ok()
    });
    if shootdown.statistics() != rar_shootdown::Statistics::default() {
        counter.fail(&kernel, "the ordinary way was left");
    }
    Ok(())
}

/// What else is flushed: its name, the requests, and how many entries they take.
fn kinds() -> Vec<(&'static str, Vec<Request>, u64)> {
    let Ok(kernel) = Pcid::new(5) else {
        return Vec::new();
    };
    let user = Pcid::new(0x405).unwrap_or(kernel);
    let pages = |pcid, start, pages| {
        let range = PageRange::new(start, pages, PageSize::Size4K).ok();
        range.map(|range| Request::Pages { pcid, range })
    };
    // Of each the next page is another's, so that nothing is merged.
    let four = (0..4)
        .filter_map(|at| pages(kernel, ADDRESS + at * 0x20_0000, 1))
        .collect();
    let pair = [kernel, user]
        .into_iter()
        .filter_map(|pcid| pages(pcid, ADDRESS, 1))
        .collect();
    vec![
        ("4 requests", four, 4),
        ("2 PCIDs", pair, 2),
        (
            "64 pages",
            pages(kernel, ADDRESS, 64).into_iter().collect(),
            2,
        ),
        (
            "whole space",
            vec![Request::AddressSpace { pcid: kernel }],
            1,
        ),
    ]
}

/// Flushes once, and checks that every target was told what it should be.
fn check<const WORDS: usize>(
    counter: &mut Counter,
    name: &str,
    bed: &Bed<WORDS>,
    requests: &[Request],
    operations: u64,
) {
    let (answered, signals) = bed.world.answers();
    let flushed = bed.shootdown.flush(&bed.cpu, requests, bed.space).is_ok();
    let is_expected =
        bed.world.answers() == (answered + operations * u64::from(bed.targets), signals + 1);
    let entry = SlotIndex::new(0).map(|slot| bed.shootdown.domain().table().load(slot).words());
    if !flushed || !is_expected || (requests == page().as_slice() && entry != Some(golden())) {
        counter.fail(name, "not every target was told what it should be");
    }
}

/// The request of the ordinary flush: one page.
pub(crate) fn page() -> Option<Request> {
    let range = PageRange::page(ADDRESS, PageSize::Size4K).ok()?;
    Some(Request::Pages {
        pcid: Pcid::new(5).ok()?,
        range,
    })
}
