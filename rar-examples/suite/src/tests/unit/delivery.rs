//! Signals: one is enough, none is served twice, and none is lost.

use core::sync::atomic::Ordering::{Acquire, Release};

use rar_percpu::SlotIndex;

use crate::failure::Assertion::{Flushed, Prompt};
use crate::failure::Place;
use crate::platform::{Frame, Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, GO, READY, SECOND, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, prepare};
use crate::units::{ENABLE, Register};

/// The targets have been served once and hold the next signal.
const SERVED: usize = 2;
/// The second entry is armed.
const AGAIN: usize = 3;

/// An entry without a signal stays PENDING: one signal is served once.
pub(crate) fn unsignalled<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 2, Scope::Space);
        remap_and_control(t, 0, 2, Scope::Space);
        let others = t.platform.cpus() - 1;
        t.step(Participants::All, || {
            if t.is_initiator() {
                bench.await_moment(READY, others);
                bench.order(FIRST, bench.pages(0, 1), bench.others());
                bench.signal(bench.others());
                bench.announce(GO);
                bench.await_moment(SERVED, others);
                bench.await_success(FIRST, bench.others());
                bench.order(SECOND, bench.pages(1, 1), bench.others());
                bench.announce(AGAIN);
                bench.expect_untouched(SECOND, bench.others());
                bench.signal(bench.others());
                bench.await_success(SECOND, bench.others());
            } else {
                t.platform.disable_interrupts();
                bench.program(ENABLE);
                bench.announce(READY);
                bench.await_moment(GO, 1);
                // The shortest window with interrupts enabled, so that a second service would have
                // to wait.
                t.platform.enable_interrupts();
                t.platform.disable_interrupts();
                if !bench.is_final(t.me, FIRST) {
                    t.platform.enable_interrupts();
                    bench.wait_for_answer(|| bench.is_final(t.me, FIRST));
                    t.platform.disable_interrupts();
                }
                bench.announce(SERVED);
                bench.await_moment(AGAIN, 1);
                t.platform.enable_interrupts();
                // A unit in software polls its signals when its CPU exits to it.
                let _unchanged = bench.units.read(Register::Control);
            }
        });
        t.step(Participants::Others, || {
            t.expect_gone(Page::Small(0), new_value(0));
            t.expect_gone(Page::Small(1), new_value(1));
        });
    });
}

/// All CPUs signal all others at once, repeatedly: a signal that arrives during a scan is served by
/// a further scan.
pub(crate) fn meet<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::All, || {
            // CPUs without a slot only serve.
            let mine = bench
                .slots()
                .nth(usize::try_from(t.me).unwrap_or(usize::MAX));
            if let Some((slot, _)) = mine {
                flush_and_look(bench, slot);
            }
            bench.announce(READY);
            bench.await_moment(READY, t.platform.cpus());
        });
    });
}

/// Each CPU owns a page whose value only grows. A CPU that reads less than was published before has
/// used a stale translation.
fn flush_and_look<L: Platform>(bench: &Bench<'_, '_, L>, slot: SlotIndex) {
    const ROUNDS: u64 = 50;
    let t = bench.t;
    let page_of = |cpu| 10 + u16::try_from(cpu % 64).unwrap_or(0);
    let (page, next) = (page_of(t.me), (t.me + 1) % t.platform.cpus());
    for value in 1..=ROUNDS {
        let frame = Frame::Small(4 * page + u16::try_from(value % 4).unwrap_or(0));
        t.platform.store_frame(frame, 0, value);
        t.map(Page::Small(page), frame);
        bench.flush_others(slot, bench.pages(page, 1));
        t.published(t.me).store(value, Release);
        let published = t.published(next).load(Acquire);
        let found = t.platform.load(Page::Small(page_of(next)), 0).unwrap_or(0);
        if next != t.me && found < published {
            t.fail(
                Flushed,
                Place::At(Page::Small(page_of(next))),
                published,
                found,
            );
        }
        if t.shared.failure.is_set() {
            return;
        }
    }
}

/// A running CPU serves a signal within few instructions.
///
/// *Observed*, with a bound that the machine sets.
pub(crate) fn prompt<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::All, || {
            if t.is_initiator() {
                for cpu in bench.others() {
                    bench.order(FIRST, bench.pages(0, 1), [cpu].into_iter());
                    bench.signal([cpu].into_iter());
                    t.published(cpu).store(1, Release);
                    bench.await_success(FIRST, [cpu].into_iter());
                }
            } else {
                t.wait_until("the signal", || {
                    t.published(t.me).load(Acquire) != 0 || t.shared.failure.is_set()
                });
                let timeout = u64::from(bench.units.timeout_spins());
                let mut rounds = 0;
                while !bench.is_final(t.me, FIRST) && rounds <= timeout {
                    t.platform.relax();
                    rounds += 1;
                }
                if rounds > timeout {
                    t.fail(Prompt, Place::Number(t.me), timeout, rounds);
                }
            }
        });
        expect_page_0_flushed(bench);
    });
}
