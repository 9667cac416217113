//! Fewer slots than flushes in flight.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::failure::Assertion::{Counter, FlushEnds, Flushed};
use crate::failure::Place;
use crate::lab::{Frame, Lab, Page, Reach};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::trial::{Trial, Who};

/// Flushes in flight at once: more than any table has slots.
const IN_FLIGHT: usize = 70;

/// One CPU starts more flushes than there are slots before it waits for any: who holds a slot never waits for another.
pub(crate) fn more_requests<L: Lab>(t: &Trial<'_, L>) {
    let count = 70;
    map_and_touch(t, 0, count, Reach::Space);
    remap_and_control(t, 0, count, Reach::Space);
    t.step(Who::Initiator, || {
        let shootdown = t.lab.shootdown();
        let before = shootdown.statistics();
        let cpu = t.lab.pin();
        let mut page = 0..count;
        let pending: [_; IN_FLIGHT] = core::array::from_fn(|_| {
            let request = t.pages(page.next().unwrap_or(0), 1);
            shootdown.start(&cpu, &[request], &t.suite.first, ())
        });
        t.suite.flushes.fetch_add(IN_FLIGHT as u64, AcqRel);
        for (pending, number) in pending.into_iter().zip(0..) {
            if pending.wait().is_err() {
                t.fail(FlushEnds, Place::Number(number), 0, 1);
            }
        }
        let after = shootdown.statistics();
        let beyond = (IN_FLIGHT - shootdown.entries()) as u64;
        t.assert(
            Counter,
            Place::Number(0),
            beyond,
            after.slotless - before.slotless,
        );
        t.assert(
            Counter,
            Place::Number(1),
            0,
            after.fallbacks - before.fallbacks,
        );
        t.assert(
            Counter,
            Place::Number(2),
            before.quarantined as u64,
            after.quarantined as u64,
        );
    });
    expect_new(t, 0, count);
}

/// One CPU holds all slots but one, and the others flush with what is left.
pub(crate) fn one_slot_for_all<L: Lab>(t: &Trial<'_, L>) {
    const HOLDS: usize = 63;
    const FLUSHES: u64 = 50;
    const READY: usize = 0;
    const DONE: usize = 1;
    let first = 100;
    map_and_touch(t, 0, 1, Reach::Space);
    remap_and_control(t, 0, 1, Reach::Space);
    t.step(Who::All, || {
        let cpu = t.lab.pin();
        let shootdown = t.lab.shootdown();
        if t.is_initiator() {
            let holds = HOLDS.min(shootdown.entries() - 1);
            let before = shootdown.statistics();
            let mut pending: [_; HOLDS] = core::array::from_fn(|number| {
                (number < holds)
                    .then(|| shootdown.start(&cpu, &[t.pages(0, 1)], &t.suite.first, ()))
            });
            t.word(READY).store(1, Release);
            let others = u64::from(t.lab.cpus()) - 1;
            t.wait_until("the others' flushes", || {
                t.word(DONE).load(Acquire) == others
            });
            for pending in pending.iter_mut().filter_map(Option::take) {
                if pending.wait().is_err() {
                    t.fail(FlushEnds, Place::Number(0), 0, 1);
                }
            }
            let fallbacks = shootdown.statistics().fallbacks - before.fallbacks;
            t.assert(Counter, Place::Number(1), 0, fallbacks);
        } else {
            t.wait_until("the holder", || t.word(READY).load(Acquire) == 1);
            let page = first + u16::try_from(t.me % 256).unwrap_or(0);
            for value in 1..=FLUSHES {
                let frame = Frame::Small(2 * page + u16::from(value.is_multiple_of(2)));
                t.lab.store_frame(frame, 0, value);
                t.map(Page::Small(page), frame);
                t.flush(t.pages(page, 1));
                t.expect(Flushed, Page::Small(page), value);
                t.published(t.me).store(value, Release);
            }
            t.word(DONE).fetch_add(1, AcqRel);
        }
    });
    t.step(Who::All, || {
        for cpu in (0..t.lab.cpus()).filter(|cpu| *cpu != t.initiator) {
            let page = Page::Small(first + u16::try_from(cpu % 256).unwrap_or(0));
            t.expect(Flushed, page, t.published(cpu).load(Relaxed));
        }
    });
    expect_new(t, 0, 1);
}
