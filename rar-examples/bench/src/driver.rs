//! The driver: flushes, by what they flush and on how many CPUs.

use std::hint::black_box;

use rar_payload::{PageRange, PageSize, Pcid, Request};
use rar_percpu::{LifeCycleError, SlotIndex};
use rar_shootdown::Policy;

use crate::bed::{Answers, Bed, Signal};
use crate::count::Counter;
use crate::{ADDRESS, Size, golden};

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
