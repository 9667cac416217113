//! Two address spaces are live at once, on different CPUs.

use rar_payload::{PageSize, Request};

use crate::failure::Assertion::Mapped;
use crate::platform::{Access, Frame, Mapping, Page, Platform, Scope};
use crate::space::Space;
use crate::test_run::{Participants, TestRun};

/// The page of these tests, mapped differently in each space.
pub(crate) const PAGE: Page = Page::Small(9);

/// CPUs at an odd distance run in the second space. The page is changed in both spaces; flushing
/// one space keeps the translations of the other.
pub(crate) fn two_spaces<L: Platform>(t: &TestRun<'_, L>) {
    let mine = if t.distance().is_multiple_of(2) {
        Space::First
    } else {
        Space::Second
    };
    t.step(Participants::All, || t.enter(mine));
    t.step(Participants::Initiator, || {
        for space in [Space::First, Space::Second] {
            t.platform.store_frame(frame(space, 0), 0, value(space, 0));
            t.platform.store_frame(frame(space, 1), 0, value(space, 1));
            map(t, space, 0);
        }
    });
    t.step(Participants::All, || t.expect(Mapped, PAGE, value(mine, 0)));
    t.step(Participants::Initiator, || {
        map(t, Space::First, 1);
        map(t, Space::Second, 1);
    });
    t.step(Participants::All, || {
        t.expect_stale(PAGE, value(mine, 0), value(mine, 1))
    });
    flush(t, Space::First);
    t.step(Participants::All, || match mine {
        Space::First => t.expect_flushed(PAGE, value(mine, 1)),
        _ => t.expect_kept(PAGE, value(mine, 0)),
    });
    flush(t, Space::Second);
    t.step(Participants::All, || t.expect_flushed(PAGE, value(mine, 1)));
}

fn flush<L: Platform>(t: &TestRun<'_, L>, space: Space) {
    t.step(Participants::Initiator, || {
        if let Some(range) = t.range(PAGE, 1, PageSize::Size4K) {
            t.flush_on(
                Request::Pages {
                    pcid: t.platform.pcid(space),
                    range,
                },
                t.shared.set(space),
            );
        }
    });
}

pub(crate) fn map<L: Platform>(t: &TestRun<'_, L>, space: Space, version: u16) {
    let mapping = Mapping {
        frame: frame(space, version),
        access: Access::Write,
        scope: Scope::Space,
    };
    t.platform.map(space, PAGE, Some(mapping));
}

pub(crate) fn frame(space: Space, version: u16) -> Frame {
    Frame::Small(700 + version + if space == Space::First { 0 } else { 2 })
}

pub(crate) fn value(space: Space, version: u16) -> u64 {
    0x5ace_0000 + u64::from(version) + if space == Space::First { 0x100 } else { 0x200 }
}
