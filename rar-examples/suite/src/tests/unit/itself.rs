//! A CPU signals itself. Drivers do not rely on it: the only public report of SUCCESS without a
//! flush concerns this.

use crate::failure::Assertion::Flushed;
use crate::failure::Place;
use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::tests::unit::bench::{FIRST, SECOND, SERVING, without_driver};
use crate::tests::unit::steps::prepare;

/// First alone, then together with all others by one signal.
pub(crate) fn signals_itself<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 2);
        t.step(Participants::Initiator, || {
            bench.order(FIRST, bench.pages(0, 1), [t.me].into_iter());
            bench.signal([t.me].into_iter());
            bench.await_success(FIRST, [t.me].into_iter());
            t.expect_kept(Page::Small(1), old_value(1));
            t.expect_gone(Page::Small(0), new_value(0));
        });
        t.step(Participants::Initiator, || {
            let all = 0..t.platform.cpus();
            bench.order(FIRST, bench.pages(0, 1), all.clone());
            bench.order(SECOND, bench.pages(1, 1), all.clone());
            bench.signal(all.clone());
            bench.await_success(FIRST, all.clone());
            bench.await_success(SECOND, all);
        });
        expect_new(t, 0, 2);
    });
}

/// Repeatedly, first alone and then together with all others. A failure states how many
/// translations were used after their byte was SUCCESS.
pub(crate) fn again<L: Platform>(t: &TestRun<'_, L>) {
    const ROUNDS: u16 = 64;
    without_driver(t, |bench| {
        map_and_touch(t, 0, 2 * ROUNDS, Scope::Space);
        remap_and_control(t, 0, 2 * ROUNDS, Scope::Space);
        t.step(Participants::All, || bench.program(SERVING));
        for (turn, cpus) in [(0, t.initiator..t.initiator + 1), (1, 0..t.platform.cpus())] {
            let pages = turn * ROUNDS..(turn + 1) * ROUNDS;
            t.step(Participants::Initiator, || {
                let mut stale = 0;
                for page in pages.clone() {
                    bench.order(FIRST, bench.pages(page, 1), cpus.clone());
                    bench.signal(cpus.clone());
                    // The own byte first, so that this CPU loads as soon as possible after its
                    // answer.
                    bench.await_success(FIRST, [t.me].into_iter());
                    let found = t.platform.load(Page::Small(page), 0);
                    stale += u64::from(found != Ok(new_value(page)));
                    bench.await_success(FIRST, cpus.clone());
                }
                t.assert(Flushed, Place::Number(turn.into()), 0, stale);
            });
            t.step(Participants::Others, || {
                for page in pages.clone().filter(|_| cpus.contains(&t.me)) {
                    t.expect_gone(Page::Small(page), new_value(page));
                }
            });
        }
    });
}
