//! Fewer slots than flushes in flight.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use rar_percpu::{Claimed, DEFAULT_WORDS};

use crate::failure::Assertion::{Counter, FlushEnds, Flushed, Sent};
use crate::failure::Place;
use crate::platform::{Frame, Page, Platform, Scope};
use crate::test_run::{Participants, TestRun};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};

/// More flushes in flight than any table has slots.
const IN_FLIGHT: u16 = 70;

/// One CPU starts more flushes than there are slots before it waits for any. All slots are used,
/// and slots of answered flushes are used again. Without a free slot a flush goes by generation; it
/// does not wait for a slot if its CPU holds some.
pub(crate) fn more_requests<L: Platform>(t: &TestRun<'_, L>) {
    let slots = u16::try_from(t.platform.entries()).unwrap_or(IN_FLIGHT);
    let slots = slots.min(IN_FLIGHT);
    start_then_wait(t, 0, slots, slots, 0);
    // The first part must leave no slot occupied.
    t.step(Participants::All, || t.platform.flush_own_tlb());
    start_then_wait(t, 100, IN_FLIGHT, slots, 0);
    t.step(Participants::All, || t.platform.flush_own_tlb());
    let mut held: [_; MOST_CLAIMS] = [const { None }; MOST_CLAIMS];
    t.step(Participants::Initiator, || {
        claim(t, &mut held, usize::from(slots))
    });
    start_then_wait(t, 200, FEW, 0, u64::from(FEW));
    drop(held);
    t.step(Participants::Initiator, || {
        let (free, _) = t.platform.shootdown().domain().free_and_quarantined_slots();
        t.assert(Counter, Place::Number(4), u64::from(slots), free as u64);
    });
}

/// How many flushes find no slot.
const FEW: u16 = 6;

/// Enough values to own all slots of a table.
const MOST_CLAIMS: usize = 64;

/// Claims `count` slots for this CPU and posts nothing in them.
fn claim<'a, L: Platform>(
    t: &TestRun<'a, L>,
    held: &mut [Option<Claimed<'a, 'a, DEFAULT_WORDS>>],
    count: usize,
) {
    let (cpu, domain) = (t.platform.pin(), t.platform.shootdown().domain());
    let mut left = count;
    for place in held {
        if left > 0 {
            *place = domain.claim(&cpu, left);
            left -= place.as_ref().map_or(0, Claimed::len);
        }
    }
    t.assert(Counter, Place::Number(5), 0, left as u64);
}

/// Flushes `count` pages from `first` on, one flush each, all in flight at once. The first `posted`
/// of them are answered before the others start; `slotless` of them find no slot.
fn start_then_wait<L: Platform>(
    t: &TestRun<'_, L>,
    first: u16,
    count: u16,
    posted: u16,
    slotless: u64,
) {
    t.empty_tlbs();
    map_and_touch(t, first, count, Scope::Space);
    remap_and_control(t, first, count, Scope::Space);
    t.step(Participants::Initiator, || {
        let shootdown = t.platform.shootdown();
        let before = shootdown.statistics();
        let sent = t.platform.witness().sent();
        let cpu = t.platform.pin();
        let mut pages = first..first + count;
        let mut pending: [_; IN_FLIGHT as usize] = [const { None }; IN_FLIGHT as usize];
        let (first_ones, others) = pending.split_at_mut(usize::from(posted.min(IN_FLIGHT)));
        let mut start = |place: &mut Option<_>| {
            *place = pages
                .next()
                .map(|page| shootdown.start(&cpu, &[t.pages(page, 1)], &t.shared.first, ()));
        };
        first_ones.iter_mut().for_each(&mut start);
        for flush in first_ones.iter_mut().flatten() {
            // Bounded: an unanswered flush falls back, then fails.
            while flush.poll(&cpu).is_pending() {
                t.platform.relax();
            }
        }
        // No slot is free from here on: each is answered or owned by the test, so a flush takes one
        // over or finds none.
        let (free, _) = shootdown.domain().free_and_quarantined_slots();
        t.assert(Counter, Place::Number(3), 0, free as u64);
        others.iter_mut().for_each(start);
        t.shared.flushes.fetch_add(u64::from(count), AcqRel);
        for (pending, number) in pending.iter_mut().filter_map(Option::take).zip(0..) {
            if pending.wait(&cpu).is_err() {
                t.fail(FlushEnds, Place::Number(number), 0, 1);
            }
        }
        let after = shootdown.statistics();
        let found_none = after.slotless.abs_diff(before.slotless);
        t.assert(Counter, Place::Number(0), slotless, found_none);
        let fallbacks = after.fallbacks.abs_diff(before.fallbacks);
        t.assert(Counter, Place::Number(1), 0, fallbacks);
        // The machine must count the same: one signal for each flush with a slot, one interrupt for
        // each without.
        let sent = t.platform.witness().sent().since(sent);
        t.assert(
            Sent,
            Place::Number(0),
            u64::from(count) - slotless,
            sent.signals,
        );
        // A slow flush may be interrupted again.
        let interrupts = match slotless {
            0 => sent.interrupts,
            slotless => sent.interrupts.min(slotless),
        };
        t.assert(Sent, Place::Number(1), slotless, interrupts);
        t.assert(
            Counter,
            Place::Number(2),
            before.quarantined as u64,
            after.quarantined as u64,
        );
    });
    expect_new(t, first, count);
}

/// Pages and frames of [`one_slot_for_all`], apart from each other for this many CPUs.
pub(crate) const ONE_SLOT_CPUS: u32 = 150;

/// One CPU holds all slots except one, and the others flush with that one.
pub(crate) fn one_slot_for_all<L: Platform>(t: &TestRun<'_, L>) {
    const HELD: u16 = 50;
    map_and_touch(t, HELD, 1, Scope::Space);
    t.step(Participants::Others, || {
        t.map(own_page(t.me), advance(t, 0))
    });
    t.step(Participants::All, || {
        (0..t.platform.cpus()).for_each(|cpu| look(t, cpu))
    });
    remap_and_control(t, HELD, 1, Scope::Space);
    t.step(Participants::All, || {
        if t.is_initiator() {
            hold_all_but_one(t, HELD)
        } else {
            share_one(t)
        }
    });
    t.step(Participants::All, || {
        (0..t.platform.cpus()).for_each(|cpu| look(t, cpu))
    });
    expect_new(t, HELD, 1);
}

/// Set when the slots are held.
const READY: usize = 0;
/// How many CPUs have made their flushes.
const DONE: usize = 1;
/// How many flushes each CPU makes with the shared slot.
const FLUSHES: u64 = 50;

fn hold_all_but_one<L: Platform>(t: &TestRun<'_, L>, page: u16) {
    let (cpu, shootdown) = (t.platform.pin(), t.platform.shootdown());
    let before = shootdown.statistics();
    let sent = t.platform.witness().sent();
    let mut held: [_; MOST_CLAIMS] = [const { None }; MOST_CLAIMS];
    let all_but_one = t.platform.entries().saturating_sub(1);
    claim(t, &mut held, all_but_one);
    let flush = shootdown.start(&cpu, &[t.pages(page, 1)], &t.shared.first, ());
    t.shared.flushes.fetch_add(1, AcqRel);
    t.word(READY).store(1, Release);
    let others = u64::from(t.platform.cpus()) - 1;
    t.wait_until("the others' flushes", || {
        t.word(DONE).load(Acquire) == others || t.shared.failure.is_set()
    });
    if flush.wait(&cpu).is_err() {
        t.fail(FlushEnds, Place::Number(0), 0, 1);
    }
    let fallbacks = shootdown.statistics().fallbacks.abs_diff(before.fallbacks);
    t.assert(Counter, Place::Number(1), 0, fallbacks);
    // The last slot is used. A single flusher never waits for it, so it never flushes without.
    let sent = t.platform.witness().sent().since(sent);
    if others == 1 {
        let flushes = 1 + FLUSHES;
        t.assert(Sent, Place::Number(2), flushes, sent.signals);
        t.assert(Sent, Place::Number(3), 0, sent.interrupts);
    } else {
        let used = u64::from(sent.signals > 1);
        t.assert(Sent, Place::Number(4), 1, used);
    }
}

fn share_one<L: Platform>(t: &TestRun<'_, L>) {
    t.wait_until("the holder", || {
        t.word(READY).load(Acquire) == 1 || t.shared.failure.is_set()
    });
    for value in 1..=FLUSHES {
        t.map(own_page(t.me), advance(t, value));
        let Page::Small(page) = own_page(t.me) else {
            return;
        };
        t.flush(t.pages(page, 1));
        t.published(t.me).store(value, Release);
        look(t, (t.me + 1) % t.platform.cpus());
    }
    t.word(DONE).fetch_add(1, AcqRel);
}

/// Writes the value to the frame whose turn it is, and returns the frame.
fn advance<L: Platform>(t: &TestRun<'_, L>, value: u64) -> Frame {
    let Page::Small(page) = own_page(t.me) else {
        return Frame::Small(0);
    };
    let frame = Frame::Small(4 * page + u16::try_from(value % 4).unwrap_or(0));
    t.platform.store_frame(frame, 0, value);
    frame
}

/// The value of a CPU's page must not be older than what the CPU has published.
fn look<L: Platform>(t: &TestRun<'_, L>, cpu: u32) {
    if cpu == t.initiator {
        return;
    }
    let published = t.published(cpu).load(Acquire);
    let found = t.platform.load(own_page(cpu), 0);
    if found.is_ok_and(|found| found >= published) {
        return;
    }
    t.fail(
        Flushed,
        Place::At(own_page(cpu)),
        published,
        found.unwrap_or(u64::MAX),
    );
}

fn own_page(cpu: u32) -> Page {
    Page::Small(100 + u16::try_from(cpu % ONE_SLOT_CPUS).unwrap_or(0))
}
