//! Page walks that are in flight when a signal arrives.

use core::sync::atomic::Ordering::Release;

use crate::failure::Assertion::Flushed;
use crate::failure::Place;
use crate::platform::{Page, Platform};
use crate::test_run::{Participants, TestRun, new_frame, new_value, old_frame, old_value};
use crate::tests::unit::bench::{Bench, FIRST, READY, without_driver};
use crate::tests::unit::steps::prepare;

const PAGE: Page = Page::Small(0);
/// About how many walks a run tries to meet: a round has one of each target.
const WALKS: u32 = 128;
/// The minimum of rounds, on many CPUs.
const ROUNDS: u32 = 8;

/// The targets walk to the page again and again: they evict it and load it. Whatever walk the
/// signal meets, after SUCCESS a load uses the new translation.
///
/// The load after SUCCESS follows without another eviction, so it shows what a walk that began
/// before the flush has left in the TLB.
pub(crate) fn in_flight<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        let targets = t.platform.cpus().saturating_sub(1).max(1);
        for round in 0..(WALKS / targets).max(ROUNDS) {
            t.step(Participants::Initiator, || {
                t.word(READY).store(0, Release);
                bench.order(FIRST, bench.pages(0, 1), bench.others());
            });
            t.step(Participants::All, || {
                let (frame, value) = if round.is_multiple_of(2) {
                    (old_frame(0), old_value(0))
                } else {
                    (new_frame(0), new_value(0))
                };
                if t.is_initiator() {
                    bench.await_moment(READY, t.platform.cpus() - 1);
                    t.map(PAGE, frame);
                    bench.signal(bench.others());
                    bench.await_success(FIRST, bench.others());
                } else {
                    walk_until_served(bench, value);
                }
            });
        }
        t.step(Participants::Others, || t.expect_asked(PAGE));
    });
}

fn walk_until_served<L: Platform>(bench: &Bench<'_, '_, L>, value: u64) {
    let t = bench.t;
    let mut walks = 0_u32;
    let mut watch = t.watch();
    loop {
        // Not asserted: the load may be older than SUCCESS.
        let _older = t.platform.load_by_walk(PAGE, 0);
        let served = bench.is_final(t.me, FIRST);
        // A CPU that lost time answers late.
        watch.now();
        walks += 1;
        if served || t.shared.failure.is_set() {
            break;
        }
        if walks == 1 {
            bench.announce(READY);
        }
        // An emulator that runs CPUs in turns switches to the next.
        t.platform.relax();
    }
    if !t.shared.failure.is_set() {
        let found = t.platform.load(PAGE, 0).unwrap_or(u64::MAX);
        t.assert(Flushed, Place::At(PAGE), value, found);
    }
}
