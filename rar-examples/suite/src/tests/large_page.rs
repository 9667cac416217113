//! One 2 MiB page is remapped.

use rar_payload::{PageSize, Request};

use crate::failure::Assertion::Mapped;
use crate::platform::{Frame, Page, Platform};
use crate::space::Space;
use crate::test_run::{Participants, TestRun};

const OLD: u64 = 0x2a11;
pub(crate) const NEW: u64 = 0x2b22;

pub(crate) fn large_page<L: Platform>(t: &TestRun<'_, L>) {
    remap_and_control(t);
    t.step(Participants::Initiator, || {
        if let Some(range) = t.range(Page::Large, 1, PageSize::Size2M) {
            t.flush(Request::Pages {
                pcid: t.platform.pcid(Space::First),
                range,
            });
        }
    });
    t.step(Participants::All, || t.expect_flushed(Page::Large, NEW));
}

/// Remaps the page, and has all CPUs show that they still use the old frame.
pub(crate) fn remap_and_control<L: Platform>(t: &TestRun<'_, L>) {
    t.step(Participants::Initiator, || {
        t.platform.store_frame(Frame::Large(0), 0, OLD);
        t.platform.store_frame(Frame::Large(1), 0, NEW);
        t.map(Page::Large, Frame::Large(0));
    });
    t.step(Participants::All, || t.expect(Mapped, Page::Large, OLD));
    t.step(Participants::Initiator, || {
        t.map(Page::Large, Frame::Large(1))
    });
    t.step(Participants::All, || t.expect_stale(Page::Large, OLD, NEW));
}
