//! Pages are remapped: a CPU that has cached them reads the old frame until the flush, and the new
//! frame after it.

use rar_payload::{Globals, PageSize, Request};

use crate::failure::Assertion::{Flushed, Mapped};
use crate::platform::{Access, Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_frame, new_value, old_frame, old_value};

pub(crate) fn one_page<L: Platform>(t: &TestRun<'_, L>) {
    remap(t, 0, 1, Scope::Space, |t| t.flush(t.pages(0, 1)));
}

pub(crate) fn pages<L: Platform, const COUNT: u16>(t: &TestRun<'_, L>) {
    remap(t, 3, COUNT, Scope::Space, |t| t.flush(t.pages(3, COUNT)));
}

pub(crate) fn address_space<L: Platform>(t: &TestRun<'_, L>) {
    remap(t, 0, 16, Scope::Space, |t| t.flush(t.whole_space()));
}

pub(crate) fn everything<L: Platform>(t: &TestRun<'_, L>) {
    remap(t, 0, 16, Scope::Global, |t| {
        t.flush(Request::Everything {
            globals: Globals::Include,
        })
    });
}

pub(crate) fn global_page<L: Platform>(t: &TestRun<'_, L>) {
    remap(t, 5, 1, Scope::Global, |t| {
        if let Some(range) = t.range(Page::Small(5), 1, PageSize::Size4K) {
            t.flush(Request::GlobalPages { range });
        }
    });
}

/// Two separate ranges are flushed under one signal; the pages between them stay cached.
pub(crate) fn several_requests<L: Platform>(t: &TestRun<'_, L>) {
    const EACH: u16 = 100;
    const GAP: u16 = 10;
    let second = EACH + GAP;
    map_and_touch(t, 0, second + EACH, Scope::Space);
    remap_and_control(t, 0, second + EACH, Scope::Space);
    t.step(Participants::Initiator, || {
        t.flush_all(&[t.pages(0, EACH), t.pages(second, EACH)], &t.shared.first)
    });
    t.step(Participants::All, || {
        for page in EACH..second {
            t.expect_spared(Page::Small(page), old_value(page));
        }
    });
    expect_flushed(t, 0, EACH);
    expect_flushed(t, second, EACH);
}

/// Maps `count` pages from `first` on and has all CPUs cache them.
pub(crate) fn map_and_touch<L: Platform>(t: &TestRun<'_, L>, first: u16, count: u16, scope: Scope) {
    t.step(Participants::Initiator, || {
        for page in first..first + count {
            t.platform.store_frame(old_frame(page), 0, old_value(page));
            t.platform.store_frame(new_frame(page), 0, new_value(page));
            t.map_as(Page::Small(page), old_frame(page), Access::Write, scope);
        }
    });
    t.step(Participants::All, || {
        for page in first..first + count {
            t.expect(Mapped, Page::Small(page), old_value(page));
        }
    });
}

/// Points the entries to the new frames, and has all CPUs show that they still use the old ones.
pub(crate) fn remap_and_control<L: Platform>(
    t: &TestRun<'_, L>,
    first: u16,
    count: u16,
    scope: Scope,
) {
    t.step(Participants::Initiator, || {
        for page in first..first + count {
            t.map_as(Page::Small(page), new_frame(page), Access::Write, scope);
        }
    });
    t.step(Participants::All, || {
        for page in first..first + count {
            t.expect_stale(Page::Small(page), old_value(page), new_value(page));
        }
    });
}

/// Has all CPUs show that they use the new frames.
pub(crate) fn expect_new<L: Platform>(t: &TestRun<'_, L>, first: u16, count: u16) {
    t.step(Participants::All, || {
        for page in first..first + count {
            t.expect(Flushed, Page::Small(page), new_value(page));
        }
    });
}

fn remap<L: Platform>(
    t: &TestRun<'_, L>,
    first: u16,
    count: u16,
    scope: Scope,
    flush: impl FnOnce(&TestRun<'_, L>),
) {
    map_and_touch(t, first, count, scope);
    remap_and_control(t, first, count, scope);
    t.step(Participants::Initiator, || flush(t));
    expect_flushed(t, first, count);
}

/// As [`expect_new`], and asserts that the signal flushed the other CPUs.
pub(crate) fn expect_flushed<L: Platform>(t: &TestRun<'_, L>, first: u16, count: u16) {
    t.step(Participants::All, || {
        for page in first..first + count {
            t.expect_flushed(Page::Small(page), new_value(page));
        }
    });
}
