//! A lazy CPU is skipped, and flushes when it leaves the mode.

use crate::failure::Assertion::Flushed;
use crate::platform::{Page, Platform, Scope};
use crate::raw;
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::tests::tables::{swap_and_control, table_of_first_space};

pub(crate) fn is_spared<L: Platform>(t: &TestRun<'_, L>) {
    map_and_touch(t, 0, 2, Scope::Space);
    remap_and_control(t, 0, 2, Scope::Space);
    t.step(Participants::Others, || enter_lazy(t));
    t.step(Participants::Initiator, || t.flush(t.pages(0, 2)));
    t.step(Participants::Others, || {
        t.expect_kept(Page::Small(0), old_value(0))
    });
    // Also after a failed assertion: the CPU must not stay lazy.
    leave_lazy(t);
    t.barrier();
    expect_new(t, 0, 2);
}

/// A freed page table skips no CPU: its memory may hold anything by the time a lazy CPU uses it
/// again.
pub(crate) fn not_for_tables<L: Platform>(t: &TestRun<'_, L>) {
    map_and_touch(t, 0, 40, Scope::Space);
    swap_and_control(t, Participants::All);
    t.step(Participants::Others, || enter_lazy(t));
    t.step(Participants::Initiator, || t.flush(table_of_first_space(t)));
    t.step(Participants::Others, || {
        t.expect(Flushed, Page::Small(0), new_value(0))
    });
    leave_lazy(t);
    t.barrier();
    expect_new(t, 0, 40);
}

fn enter_lazy<L: Platform>(t: &TestRun<'_, L>) {
    raw::enter_lazy(t.platform.shootdown().domain(), &t.platform.pin());
}

fn leave_lazy<L: Platform>(t: &TestRun<'_, L>) {
    use rar_shootdown::Machine as _;
    let shootdown = t.platform.shootdown();
    let _left = shootdown
        .domain()
        .leave_lazy(&t.platform.pin(), shootdown.machine().tlb());
}
