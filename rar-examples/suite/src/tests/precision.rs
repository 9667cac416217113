//! A flush evicts what it names and keeps the rest.

use rar_percpu::CpuId;

use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::remap::{map_and_touch, remap_and_control};

/// Pages on either side of the flushed range that must still be served from the TLB.
const MARGIN: u16 = 3;

/// All entries are changed, some are flushed: those read the new frame, their neighbours the old
/// one.
pub(crate) fn neighbours<L: Platform, const COUNT: u16>(t: &TestRun<'_, L>) {
    let (first, all) = (MARGIN, COUNT + 2 * MARGIN);
    map_and_touch(t, 0, all, Scope::Space);
    remap_and_control(t, 0, all, Scope::Space);
    t.step(Participants::Initiator, || t.flush(t.pages(first, COUNT)));
    t.step(Participants::All, || {
        // Neighbours first: to load a flushed page fills the TLB, which could evict them.
        for page in (0..first).chain(first + COUNT..all) {
            t.expect_spared(Page::Small(page), old_value(page));
        }
        for page in first..first + COUNT {
            t.expect_flushed(Page::Small(page), new_value(page));
        }
    });
}

/// Only the CPUs at an even distance from the initiator are targets; the others keep the old
/// translation.
pub(crate) fn subset<L: Platform>(t: &TestRun<'_, L>) {
    let chosen = t.distance().is_multiple_of(2);
    t.step(Participants::All, || {
        if chosen {
            let _fits = t.shared.chosen.insert(CpuId::new(t.me));
        }
    });
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    t.step(Participants::Initiator, || {
        t.flush_on(t.pages(0, 1), &t.shared.chosen)
    });
    t.step(Participants::All, || {
        if chosen {
            t.expect_flushed(Page::Small(0), new_value(0));
        } else {
            t.expect_kept(Page::Small(0), old_value(0));
        }
    });
}
