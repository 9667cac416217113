//! A and D bits that software clears: the next use after the flush sets them again.
//!
//! A CPU that holds a translation does not look at its entry again. So after software has cleared
//! D, stores are recorded only once the flush has returned: a kernel that then finds D clear takes
//! the page for unchanged.

use crate::failure::Assertion::{Control, Mapped, Recorded};
use crate::failure::Place;
use crate::platform::{Page, Platform, StoreKind};
use crate::space::Space;
use crate::test_run::{Participants, TestRun, old_frame};
use crate::use_bit::UseBit;

/// How many pages one entry names at most; CPUs beyond share pages.
const PAGES: u32 = 63;

pub(crate) fn accessed<L: Platform>(t: &TestRun<'_, L>) {
    by_driver(t, UseBit::Accessed);
}

pub(crate) fn dirty<L: Platform>(t: &TestRun<'_, L>) {
    by_driver(t, UseBit::Dirty);
}

fn by_driver<L: Platform>(t: &TestRun<'_, L>, bit: UseBit) {
    prepare(t, bit, Participants::All);
    t.step(Participants::Initiator, || t.flush(t.pages(0, pages(t))));
    expect_recorded(t, bit, Participants::All);
    t.step(Participants::All, || t.expect_signalled(own_page(t)));
}

/// Returns how many pages there are: one for each CPU as long as an entry can name all of them.
pub(crate) fn pages<L: Platform>(t: &TestRun<'_, L>) -> u16 {
    u16::try_from(t.platform.cpus().min(PAGES)).unwrap_or(1)
}

/// Returns the page that this CPU uses.
pub(crate) fn own_page<L: Platform>(t: &TestRun<'_, L>) -> Page {
    Page::Small(number(t))
}

fn number<L: Platform>(t: &TestRun<'_, L>) -> u16 {
    u16::try_from(t.me % PAGES).unwrap_or(0)
}

/// Lets CPUs use their pages, clears the bit, and shows that further uses do not set it: they go
/// through what is cached.
pub(crate) fn prepare<L: Platform>(t: &TestRun<'_, L>, bit: UseBit, users: Participants) {
    t.step(Participants::Initiator, || {
        for page in 0..pages(t) {
            t.map(Page::Small(page), old_frame(page));
        }
    });
    t.step(users, || use_page(t, bit));
    t.step(Participants::Initiator, || {
        for page in 0..pages(t) {
            t.platform.clear_use(Space::First, page, bit);
        }
    });
    t.step(users, || use_page(t, bit));
    t.step(users, || {
        let found = recorded(t, bit);
        t.shared.controls.take(t.me, found, 1);
        t.assert(Control, Place::At(own_page(t)), 0, found);
    });
}

/// Asserts that a use of the page after the flush sets the bit.
pub(crate) fn expect_recorded<L: Platform>(t: &TestRun<'_, L>, bit: UseBit, users: Participants) {
    t.step(users, || use_page(t, bit));
    t.step(users, || {
        t.assert(Recorded, Place::At(own_page(t)), 1, recorded(t, bit));
    });
}

/// Loads from the page of this CPU, or stores to it, as the bit records.
fn use_page<L: Platform>(t: &TestRun<'_, L>, bit: UseBit) {
    let (page, word) = (own_page(t), u16::try_from(t.me % 512).unwrap_or(0));
    let used = match bit {
        UseBit::Accessed => t.platform.load(page, word).map(|_| ()),
        UseBit::Dirty => t
            .platform
            .store(page, word, u64::from(t.me), StoreKind::Plain),
    };
    if used.is_err() {
        t.fail(Mapped, Place::At(page), 1, 0);
    }
}

fn recorded<L: Platform>(t: &TestRun<'_, L>, bit: UseBit) -> u64 {
    u64::from(t.platform.is_used(Space::First, number(t), bit))
}
