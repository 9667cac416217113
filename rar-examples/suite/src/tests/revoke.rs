//! The right to write is taken away: stores go through until the flush, and fault after it.

use crate::failure::Assertion::{Control, Flushed, Mapped};
use crate::failure::Place;
use crate::platform::{Access, Page, PageFault, Platform, Scope, StoreKind};
use crate::test_run::{Participants, TestRun, old_frame};

const PAGE: Page = Page::Small(2);

pub(crate) fn revoke_write<L: Platform>(t: &TestRun<'_, L>) {
    t.step(Participants::Initiator, || t.map(PAGE, old_frame(2)));
    t.step(Participants::All, || {
        t.assert(Mapped, Place::At(PAGE), 1, writable(t))
    });
    t.step(Participants::Initiator, || {
        t.map_as(PAGE, old_frame(2), Access::Read, Scope::Space)
    });
    t.step(Participants::All, || {
        let stale = writable(t);
        t.shared.controls.take(t.me, stale, 0);
        t.assert(Control, Place::At(PAGE), 1, stale);
    });
    t.step(Participants::Initiator, || t.flush(t.pages(2, 1)));
    t.step(Participants::All, || {
        t.assert(Flushed, Place::At(PAGE), 0, writable(t));
        t.expect_signalled(PAGE);
    });
}

/// 1 if this CPU's store goes through, 0 if it faults.
fn writable<L: Platform>(t: &TestRun<'_, L>) -> u64 {
    let word = u16::try_from(t.me % 512).unwrap_or(0);
    match t
        .platform
        .store(PAGE, word, u64::from(t.me), StoreKind::Plain)
    {
        Ok(()) => 1,
        Err(PageFault) => 0,
    }
}
