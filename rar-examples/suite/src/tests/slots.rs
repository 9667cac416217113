//! Fewer slots than flushes in flight.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::failure::Assertion::{Counter, FlushEnds, Flushed, Sent};
use crate::failure::Place;
use crate::lab::{Frame, Lab, Page, Reach};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::trial::{Trial, Who};

/// More flushes in flight than any table has slots.
const IN_FLIGHT: u16 = 70;

/// One CPU starts as many flushes as there are slots, and then more, before it waits for any. All slots serve; who holds one
/// never waits for another, and what finds none goes by generation.
pub(crate) fn more_requests<L: Lab>(t: &Trial<'_, L>) {
    let slots = u16::try_from(t.lab.entries()).unwrap_or(IN_FLIGHT);
    start_then_wait(t, 0, slots.min(IN_FLIGHT), 0);
    // Nothing of it may crowd out what follows.
    t.step(Who::All, || t.lab.flush_own_tlb());
    start_then_wait(t, 100, IN_FLIGHT, IN_FLIGHT.saturating_sub(slots));
}

/// Flushes `count` pages from `first` on, each by itself, all in flight at once; `beyond` of them find no slot.
fn start_then_wait<L: Lab>(t: &Trial<'_, L>, first: u16, count: u16, beyond: u16) {
    map_and_touch(t, first, count, Reach::Space);
    remap_and_control(t, first, count, Reach::Space);
    t.step(Who::Initiator, || {
        let shootdown = t.lab.shootdown();
        let before = shootdown.statistics();
        let sent = t.lab.witness().sent();
        let cpu = t.lab.pin();
        let mut pages = first..first + count;
        let mut pending: [_; IN_FLIGHT as usize] = core::array::from_fn(|_| {
            let request = t.pages(pages.next()?, 1);
            Some(shootdown.start(&cpu, &[request], &t.suite.first, ()))
        });
        t.suite.flushes.fetch_add(u64::from(count), AcqRel);
        for (pending, number) in pending.iter_mut().filter_map(Option::take).zip(0..) {
            if pending.wait().is_err() {
                t.fail(FlushEnds, Place::Number(number), 0, 1);
            }
        }
        let after = shootdown.statistics();
        let slotless = after.slotless.abs_diff(before.slotless);
        t.assert(Counter, Place::Number(0), u64::from(beyond), slotless);
        let fallbacks = after.fallbacks.abs_diff(before.fallbacks);
        t.assert(Counter, Place::Number(1), 0, fallbacks);
        // The same by the machine: one signal for each that finds a slot, one interrupt for each that does not.
        let sent = t.lab.witness().sent().since(sent);
        t.assert(
            Sent,
            Place::Number(0),
            u64::from(count - beyond),
            sent.signals,
        );
        // One that is slow to answer may be interrupted again.
        let interrupts = match beyond {
            0 => sent.interrupts,
            beyond => sent.interrupts.min(u64::from(beyond)),
        };
        t.assert(Sent, Place::Number(1), u64::from(beyond), interrupts);
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

/// One CPU holds all slots but one, and the others flush with what is left.
pub(crate) fn one_slot_for_all<L: Lab>(t: &Trial<'_, L>) {
    const HELD: u16 = 50;
    map_and_touch(t, HELD, 1, Reach::Space);
    t.step(Who::Others, || t.map(own_page(t.me), advance(t, 0)));
    t.step(Who::All, || (0..t.lab.cpus()).for_each(|cpu| look(t, cpu)));
    remap_and_control(t, HELD, 1, Reach::Space);
    t.step(Who::All, || {
        if t.is_initiator() {
            hold_all_but_one(t, HELD)
        } else {
            share_one(t)
        }
    });
    t.step(Who::All, || (0..t.lab.cpus()).for_each(|cpu| look(t, cpu)));
    expect_new(t, HELD, 1);
}

/// Set when the slots are held.
const READY: usize = 0;
/// How many CPUs have made their flushes.
const DONE: usize = 1;
/// How many flushes a CPU makes that has to share the last slot.
const FLUSHES: u64 = 50;

fn hold_all_but_one<L: Lab>(t: &Trial<'_, L>, page: u16) {
    const HOLDS: usize = 63;
    let (cpu, shootdown) = (t.lab.pin(), t.lab.shootdown());
    let holds = HOLDS.min(t.lab.entries().saturating_sub(1));
    let before = shootdown.statistics();
    let sent = t.lab.witness().sent();
    let mut pending: [_; HOLDS] = core::array::from_fn(|number| {
        (number < holds).then(|| shootdown.start(&cpu, &[t.pages(page, 1)], &t.suite.first, ()))
    });
    t.suite.flushes.fetch_add(holds as u64, AcqRel);
    t.word(READY).store(1, Release);
    let others = u64::from(t.lab.cpus()) - 1;
    t.wait_until("the others' flushes", || {
        t.word(DONE).load(Acquire) == others || t.suite.failure.is_set()
    });
    for pending in pending.iter_mut().filter_map(Option::take) {
        if pending.wait().is_err() {
            t.fail(FlushEnds, Place::Number(0), 0, 1);
        }
    }
    let fallbacks = shootdown.statistics().fallbacks.abs_diff(before.fallbacks);
    t.assert(Counter, Place::Number(1), 0, fallbacks);
    // The last slot is used. A CPU that has it alone never waits for it, and so never goes without.
    let sent = t.lab.witness().sent().since(sent);
    if others == 1 {
        let flushes = holds as u64 + FLUSHES;
        t.assert(Sent, Place::Number(2), flushes, sent.signals);
        t.assert(Sent, Place::Number(3), 0, sent.interrupts);
    } else {
        let used = u64::from(sent.signals > holds as u64);
        t.assert(Sent, Place::Number(4), 1, used);
    }
}

fn share_one<L: Lab>(t: &Trial<'_, L>) {
    t.wait_until("the holder", || {
        t.word(READY).load(Acquire) == 1 || t.suite.failure.is_set()
    });
    for value in 1..=FLUSHES {
        t.map(own_page(t.me), advance(t, value));
        let Page::Small(page) = own_page(t.me) else {
            return;
        };
        t.flush(t.pages(page, 1));
        t.published(t.me).store(value, Release);
        look(t, (t.me + 1) % t.lab.cpus());
    }
    t.word(DONE).fetch_add(1, AcqRel);
}

/// Writes the value to the frame whose turn it is, and returns the frame.
fn advance<L: Lab>(t: &Trial<'_, L>, value: u64) -> Frame {
    let Page::Small(page) = own_page(t.me) else {
        return Frame::Small(0);
    };
    let frame = Frame::Small(4 * page + u16::try_from(value % 4).unwrap_or(0));
    t.lab.store_frame(frame, 0, value);
    frame
}

/// What a CPU's page reads must not be older than what the CPU has published.
fn look<L: Lab>(t: &Trial<'_, L>, cpu: u32) {
    if cpu == t.initiator {
        return;
    }
    let published = t.published(cpu).load(Acquire);
    let found = t.lab.load(own_page(cpu), 0);
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
