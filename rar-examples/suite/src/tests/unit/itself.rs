//! A CPU signals itself, which drivers do not rely on: the only public report of SUCCESS without a flush is of this.

use crate::lab::{Lab, Page, Reach};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::tests::unit::bench::{FIRST, SECOND, SERVING, without_driver};
use crate::trial::{Trial, Who, new_value, old_value};

/// First alone, then together with all others by one signal.
pub(crate) fn signals_itself<L: Lab>(t: &Trial<'_, L>) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 2, Reach::Space);
        remap_and_control(t, 0, 2, Reach::Space);
        t.step(Who::All, || bench.program(SERVING));
        t.step(Who::Initiator, || {
            bench.order(FIRST, bench.pages(0, 1), [t.me].into_iter());
            bench.signal([t.me].into_iter());
            bench.await_success(FIRST, [t.me].into_iter());
            t.expect_kept(Page::Small(1), old_value(1));
            t.expect_gone(Page::Small(0), new_value(0));
        });
        t.step(Who::Initiator, || {
            let all = 0..t.lab.cpus();
            bench.order(FIRST, bench.pages(0, 1), all.clone());
            bench.order(SECOND, bench.pages(1, 1), all.clone());
            bench.signal(all.clone());
            bench.await_success(FIRST, all.clone());
            bench.await_success(SECOND, all);
        });
        expect_new(t, 0, 2);
    });
}
