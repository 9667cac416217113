//! Entries and their bytes: each is executed, once, and answered with SUCCESS.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Acquire, Release};

use rar_percpu::{ActionState, SlotIndex};
use rar_vocabulary::payload_hash;

use crate::failure::Assertion::Once;
use crate::failure::Place;
use crate::platform::{Page, Platform};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::remap::expect_flushed;
use crate::tests::unit::bench::{Bench, FIRST, is_end, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, prepare};

/// One entry; its byte is PENDING until it is SUCCESS.
///
/// *Observed* if there is a value between the two: older Intel code had one, which no document
/// lists any more.
pub(crate) fn one<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::Initiator, || {
            let pending = ActionState::Pending as u8;
            let between = Cell::new(pending);
            bench.order(FIRST, bench.pages(0, 1), bench.others());
            bench.signal(bench.others());
            for cpu in bench.others() {
                bench.wait_for_answer(|| {
                    let byte = bench.byte(cpu, FIRST);
                    let ended = is_end(byte);
                    if !ended && byte != pending {
                        between.set(byte);
                    }
                    ended
                });
                bench.await_success(FIRST, [cpu].into_iter());
            }
            if between.get() != pending {
                let byte = between.get();
                t.observe(format_args!("a byte was {byte:#04x} before its end"));
            }
        });
        expect_page_0_flushed(bench);
    });
}

/// Every slot in turn, each with its own page and signal: the page of the slot is flushed, and none
/// before its turn.
pub(crate) fn in_turn<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let all = u16::try_from(bench.slots().count()).unwrap_or(0);
        prepare(bench, all);
        for (slot, page) in bench.slots() {
            t.step(Participants::Initiator, || {
                bench.flush_others(slot, bench.pages(page, 1))
            });
            t.step(Participants::Others, || {
                // The others show it when they are the next.
                if page + 1 < all {
                    t.expect_kept(Page::Small(page + 1), old_value(page + 1));
                }
                t.expect_gone(Page::Small(page), new_value(page));
            });
        }
    });
}

/// Every slot at once, by one signal.
pub(crate) fn at_once<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        let all = u16::try_from(bench.slots().count()).unwrap_or(0);
        prepare(bench, all);
        t.step(Participants::Initiator, || {
            for (slot, page) in bench.slots() {
                bench.order(slot, bench.pages(page, 1), bench.others());
            }
            bench.signal(bench.others());
            for (slot, _) in bench.slots() {
                bench.await_success(slot, bench.others());
            }
        });
        t.step(Participants::Initiator, || t.platform.flush_own_tlb());
        expect_flushed(t, 0, all);
    });
}

/// According to the units' record, each entry is executed once, with the quadwords as written.
pub(crate) fn once<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        for (slot, number) in bench.slots() {
            t.step(Participants::Others, || {
                t.published(t.me)
                    .store(bench.units.executed().entries, Release);
            });
            t.step(Participants::Initiator, || {
                bench.flush_others(slot, bench.pages(0, 1 + number % 63))
            });
            t.step(Participants::Others, || {
                let executed = bench.units.executed();
                let before = t.published(t.me).load(Acquire);
                t.assert(Once, Place::Number(0), 1, executed.entries - before);
                let written = written(bench, slot);
                t.assert(Once, Place::Number(1), written, executed.last);
            });
        }
        t.step(Participants::Initiator, || t.platform.flush_own_tlb());
        expect_flushed(t, 0, 1);
    });
}

fn written<L: Platform>(bench: &Bench<'_, '_, L>, slot: SlotIndex) -> u64 {
    let [first, second, third, fourth, ..] = bench
        .t
        .platform
        .shootdown()
        .domain()
        .table()
        .load(slot)
        .words();
    payload_hash([first, second, third, fourth])
}
