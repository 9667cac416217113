//! Steps that tests of units share.

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, new_value};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, SERVING};
use crate::units::ENABLE;

/// Maps `pages` pages from page 0 on, shows that they are stale, and lets the units serve.
pub(crate) fn prepare<L: Platform>(bench: &Bench<'_, '_, L>, pages: u16) {
    let t = bench.t;
    map_and_touch(t, 0, pages, Scope::Space);
    remap_and_control(t, 0, pages, Scope::Space);
    t.step(Participants::All, || bench.program(SERVING));
}

/// Makes page 0 stale, and has the units of all other CPUs hold a signal for it: they obey IF,
/// which is 0 there.
pub(crate) fn hold_a_signal<L: Platform>(bench: &Bench<'_, '_, L>) {
    let t = bench.t;
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    t.step(Participants::Others, || {
        t.platform.disable_interrupts();
        bench.program(ENABLE);
    });
    t.step(Participants::Initiator, || {
        bench.order(FIRST, bench.pages(0, 1), bench.others());
        bench.signal(bench.others());
    });
}

/// Asserts that all CPUs except the initiator have flushed page 0.
pub(crate) fn expect_page_0_flushed<L: Platform>(bench: &Bench<'_, '_, L>) {
    let t = bench.t;
    t.step(Participants::Others, || {
        t.expect_gone(Page::Small(0), new_value(0))
    });
}
