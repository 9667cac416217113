//! CPUs go offline and online, and leave and enter the space, during flushes.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::failure::Assertion::{Flushed, Order};
use crate::failure::Place;
use crate::platform::{Frame, Page, Platform, Scope};
use crate::space::Space;
use crate::test_run::{Participants, TestRun};
use crate::tests::remap::{map_and_touch, remap_and_control};

const PAGE: Page = Page::Small(0);
const FLUSHES: u64 = 200;
/// Greater than every value of the page in the control.
const FIRST: u64 = 1 << 32;
/// The oldest value that a member of the space may still read.
const EXPECTED: usize = 0;
/// Set when the initiator has made its last flush.
const ENDED: usize = 1;

pub(crate) fn targets_change<L: Platform>(t: &TestRun<'_, L>) {
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    t.step(Participants::All, || {
        if t.is_initiator() {
            advance(t)
        } else {
            come_and_go(t)
        }
    });
    t.step(Participants::All, || t.enter(Space::First));
    t.step(Participants::Initiator, || {
        for cpu in (0..t.platform.cpus()).filter(|cpu| *cpu != t.me) {
            if t.published(cpu).load(Acquire) == 0 {
                // It never left and returned, so nothing was tested on it.
                t.fail(Order, Place::Number(cpu), 1, 0);
            }
        }
    });
}

/// The value of the page only grows.
fn advance<L: Platform>(t: &TestRun<'_, L>) {
    for value in FIRST..FIRST + FLUSHES {
        // Four frames in turn, so that a read through an old translation never returns the newest
        // value.
        let frame = Frame::Small(800 + u16::try_from(value % 4).unwrap_or(0));
        t.platform.store_frame(frame, 0, value);
        t.map(PAGE, frame);
        t.flush(t.pages(0, 1));
        t.word(EXPECTED).store(value, Release);
        // Lets some CPUs join or leave between two flushes.
        t.platform.relax();
        if t.shared.failure.is_set() {
            break;
        }
    }
    t.word(ENDED).store(1, Release);
}

fn come_and_go<L: Platform>(t: &TestRun<'_, L>) {
    // The first flush ends the old value of the control.
    t.wait_until("the first flush", || {
        t.word(EXPECTED).load(Acquire) != 0 || t.word(ENDED).load(Acquire) != 0
    });
    let mut turn = t.me;
    while t.word(ENDED).load(Acquire) == 0 && !t.shared.failure.is_set() {
        // Stays a member for a while: some flushes must find this CPU in the space and online.
        for _ in 0..turn % 5 {
            look(t);
            t.platform.relax();
        }
        look(t);
        if turn.is_multiple_of(2) {
            t.platform.go_offline();
            t.platform.relax();
            t.platform.come_online();
        } else {
            t.enter(Space::Second);
            t.platform.relax();
            t.enter(Space::First);
        }
        look(t);
        t.published(t.me).fetch_add(1, AcqRel);
        turn += 1;
    }
}

fn look<L: Platform>(t: &TestRun<'_, L>) {
    let expected = t.word(EXPECTED).load(Acquire);
    let found = t.platform.load(PAGE, 0).unwrap_or(0);
    if found < expected {
        t.fail(Flushed, Place::At(PAGE), expected, found);
    }
}
