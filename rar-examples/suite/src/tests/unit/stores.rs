//! Stores of a target that are in the store buffer when it is asked to flush.

use core::sync::atomic::Ordering::{Acquire, Release};

use crate::failure::Assertion::{Control, Frozen, Mapped};
use crate::failure::Place;
use crate::platform::{Frame, Page, Platform, StoreKind};
use crate::test_run::{Participants, TestRun};
use crate::tests::unit::bench::{Bench, FIRST, SERVING, without_driver};

const PAGE: Page = Page::Small(1);
/// The frames of the page, in turn.
const FRAMES: [Frame; 2] = [Frame::Small(901), Frame::Small(902)];
/// Records the old frame's content when the byte became SUCCESS.
const KEPT: Frame = Frame::Small(900);
/// Set when the writers may stop.
const STOP: usize = 0;
const ROUNDS: usize = 32;
/// How many stores of a writer are awaited before and after a flush.
const STORES: u64 = 3;

/// The targets write in a loop. After a byte is SUCCESS no store of its CPU may reach the old
/// frame, which is read as soon as possible after that.
pub(crate) fn drained<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        t.step(Participants::Initiator, || {
            for cpu in 0..t.platform.cpus() {
                for frame in FRAMES {
                    t.platform.store_frame(frame, word_of(cpu), 0);
                }
            }
            t.map(PAGE, FRAMES[0]);
        });
        t.step(Participants::All, || bench.program(SERVING));
        t.step(Participants::All, || {
            if t.is_initiator() {
                flush_under_writers(bench);
                t.word(STOP).store(1, Release);
            } else {
                write_until_stopped(t);
            }
        });
    });
}

fn write_until_stopped<L: Platform>(t: &TestRun<'_, L>) {
    let mut count = 0;
    while t.word(STOP).load(Acquire) == 0 && !t.shared.failure.is_set() {
        count += 1;
        let kind = StoreKind::NonTemporal;
        if t.platform.store(PAGE, word_of(t.me), count, kind).is_err() {
            t.fail(Mapped, Place::At(PAGE), 0, 1);
            return;
        }
        t.published(t.me).store(count, Release);
        // An emulator that runs CPUs in turns switches to the next.
        t.platform.relax();
    }
}

fn flush_under_writers<L: Platform>(bench: &Bench<'_, '_, L>) {
    let t = bench.t;
    for round in 0..ROUNDS {
        let [old, new] = if round % 2 == 0 {
            FRAMES
        } else {
            [FRAMES[1], FRAMES[0]]
        };
        await_stores(bench);
        t.map(PAGE, new);
        if round == 0 {
            control(bench, old);
            // After a failure all waits return at once and show nothing.
            if t.shared.failure.is_set() {
                return;
            }
        }
        bench.order(FIRST, bench.pages(1, 1), bench.others());
        bench.signal(bench.others());
        for cpu in bench.others() {
            bench.await_success(FIRST, [cpu].into_iter());
            let at_success = t.platform.load_frame(old, word_of(cpu));
            t.platform.store_frame(KEPT, word_of(cpu), at_success);
        }
        await_stores(bench);
        for cpu in bench.others() {
            let [at_success, now] =
                [KEPT, old].map(|frame| t.platform.load_frame(frame, word_of(cpu)));
            t.assert(Frozen, Place::Number(cpu), at_success, now);
        }
        if t.shared.failure.is_set() {
            return;
        }
    }
}

/// Before the first flush stores still reach the old frame.
fn control<L: Platform>(bench: &Bench<'_, '_, L>, old: Frame) {
    let t = bench.t;
    // One whole store of each writer follows the change of the entry; it returns the count to
    // exceed.
    await_stores(bench);
    for cpu in bench.others() {
        let before = t.platform.load_frame(old, word_of(cpu));
        t.platform.store_frame(KEPT, word_of(cpu), before);
    }
    await_stores(bench);
    for cpu in bench.others() {
        let [before, stale] = [KEPT, old].map(|frame| t.platform.load_frame(frame, word_of(cpu)));
        t.shared.controls.take(cpu, stale.saturating_sub(before), 0);
        if stale <= before {
            t.fail(Control, Place::Number(cpu), before + 1, stale);
        }
    }
}

/// Waits for some stores of every writer.
fn await_stores<L: Platform>(bench: &Bench<'_, '_, L>) {
    let t = bench.t;
    for cpu in bench.others() {
        let before = t.published(cpu).load(Acquire);
        t.wait_until("the writers", || {
            t.published(cpu).load(Acquire) >= before + STORES || t.shared.failure.is_set()
        });
    }
}

fn word_of(cpu: u32) -> u16 {
    u16::try_from(cpu % 512).unwrap_or(0)
}
