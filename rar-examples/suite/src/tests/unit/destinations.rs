//! The ways in which a signal names its targets.

use crate::platform::Platform;
use crate::test_run::{Participants, TestRun};
use crate::tests::unit::bench::{FIRST, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, prepare};
use crate::units::Destination;

/// One command for each target.
pub(crate) fn physical<L: Platform>(t: &TestRun<'_, L>) {
    flush_by(t, Destination::Physical);
}

/// A command for each cluster.
pub(crate) fn cluster<L: Platform>(t: &TestRun<'_, L>) {
    flush_by(t, Destination::Cluster);
}

/// First every target alone, which must not reach the others; then all by one send.
fn flush_by<L: Platform>(t: &TestRun<'_, L>, destination: Destination) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::Initiator, || {
            let mut waiting = bench.others();
            bench.order(FIRST, bench.pages(0, 1), bench.others());
            while let Some(cpu) = waiting.next() {
                bench.signal_by(destination, [cpu].into_iter());
                bench.await_success(FIRST, [cpu].into_iter());
                bench.expect_untouched(FIRST, waiting.clone());
            }
            bench.order(FIRST, bench.pages(0, 1), bench.others());
            bench.signal_by(destination, bench.others());
            bench.await_success(FIRST, bench.others());
        });
        expect_page_0_flushed(bench);
    });
}
