//! The ways in which a signal names its targets.

use crate::lab::{Lab, Page, Reach};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{FIRST, SERVING, without_driver};
use crate::trial::{Trial, Who, new_value};
use crate::units::Destination;

/// One command for each target.
pub(crate) fn physical<L: Lab>(t: &Trial<'_, L>) {
    flush_by(t, Destination::Physical);
}

/// A command for each cluster.
pub(crate) fn cluster<L: Lab>(t: &Trial<'_, L>) {
    flush_by(t, Destination::Cluster);
}

/// First every target alone, which must not reach the others; then all by one send.
fn flush_by<L: Lab>(t: &Trial<'_, L>, destination: Destination) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 1, Reach::Space);
        remap_and_control(t, 0, 1, Reach::Space);
        t.step(Who::All, || bench.program(SERVING));
        t.step(Who::Initiator, || {
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
        t.step(Who::Others, || {
            t.expect_gone(Page::Small(0), new_value(0));
        });
    });
}
