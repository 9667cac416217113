//! A unit whose ENABLE is 0.

use crate::lab::{Lab, Page, Reach};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{FIRST, SERVING, without_driver};
use crate::trial::{Trial, Who, new_value, old_value};
use crate::units::Register;

/// It drops signals: nothing is served, and nothing is made up for when it is enabled.
pub(crate) fn drops<L: Lab>(t: &Trial<'_, L>) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 1, Reach::Space);
        remap_and_control(t, 0, 1, Reach::Space);
        t.step(Who::Others, || bench.program(0));
        t.step(Who::Initiator, || {
            bench.order(FIRST, bench.pages(0, 1), bench.others());
            bench.signal(bench.others());
            bench.expect_untouched(FIRST, bench.others());
        });
        t.step(Who::Others, || {
            t.expect_kept(Page::Small(0), old_value(0));
            bench.write(Register::Control, SERVING);
        });
        t.step(Who::Initiator, || {
            bench.expect_untouched(FIRST, bench.others())
        });
        t.step(Who::Others, || t.expect_kept(Page::Small(0), old_value(0)));
        t.step(Who::Initiator, || {
            bench.signal(bench.others());
            bench.await_success(FIRST, bench.others());
        });
        t.step(Who::Others, || t.expect_gone(Page::Small(0), new_value(0)));
    });
}
