//! Entries of two CPUs, and the signal of one of them.

use crate::failure::Assertion::Untouched;
use crate::failure::Place;
use crate::platform::{Page, Platform};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::unit::bench::{FIRST, READY, SECOND, THIRD, without_driver};
use crate::tests::unit::steps::prepare;

/// A signal of one CPU makes the targets also scan what another has armed but not signalled. Each
/// byte is final only after its own page is flushed, and an entry that is written but not armed
/// stays unchanged.
pub(crate) fn signal<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 3);
        let sender = (t.initiator + 1) % t.platform.cpus();
        let is_target = t.me != sender && !t.is_initiator();
        let targets = || (0..t.platform.cpus()).filter(|cpu| *cpu != sender && *cpu != t.initiator);
        let third = bench.byte(t.me, THIRD);
        t.step(Participants::All, || {
            if t.is_initiator() {
                bench.order(FIRST, bench.pages(0, 1), targets());
                bench.order(THIRD, bench.pages(2, 1), [].into_iter());
                bench.announce(READY);
                bench.await_success(FIRST, targets());
            } else if t.me == sender {
                bench.await_moment(READY, 1);
                bench.order(SECOND, bench.pages(1, 1), targets());
                bench.signal(targets());
                bench.await_success(SECOND, targets());
            } else {
                bench.await_moment(READY, 1);
                bench.wait_for_answer(|| bench.is_final(t.me, FIRST));
                t.expect_gone(Page::Small(0), new_value(0));
            }
        });
        t.step(Participants::Others, || {
            if is_target {
                t.expect_gone(Page::Small(1), new_value(1));
                t.expect_kept(Page::Small(2), old_value(2));
                let [before, now] = [third, bench.byte(t.me, THIRD)].map(u64::from);
                t.assert(Untouched, Place::Number(t.me), before, now);
            }
        });
    });
}
