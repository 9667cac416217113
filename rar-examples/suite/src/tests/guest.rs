//! Targets that run a guest with its own tag for translations, in the same address space.

use core::cell::Cell;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::failure::Assertion::{Control, Flushed, GuestEnds, Mapped};
use crate::failure::Place;
use crate::modes::Guest;
use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_frame, new_value, old_frame, old_value};
use crate::tests::remap::map_and_touch;

const PAGE: Page = Page::Small(0);

/// How many guests have cached the page.
const CACHED: usize = 0;
/// Set when its entry has been changed.
const CHANGED: usize = 1;
/// How many guests have shown that they use the old translation.
const SHOWN: usize = 2;
/// Set when the flush has returned.
const FLUSHED: usize = 3;

/// A flush of the host's translations while the targets run guests: the host must no longer use
/// them.
///
/// *Observed*: which translations the guests then use. An instruction flushes the tag it runs
/// under, the host's; no source states it for RAR.
pub(crate) fn target<L: Platform>(t: &TestRun<'_, L>) {
    // A machine without guests skips the test.
    let Ok(guest) = t.platform.guest() else {
        return;
    };
    let others = u64::from(t.platform.cpus()) - 1;
    map_and_touch(t, 0, 1, Scope::Space);
    let forgotten = forgotten_by_guests(t, guest);
    t.step(Participants::All, || t.expect(Mapped, PAGE, old_value(0)));
    t.step(Participants::All, || {
        if t.is_initiator() {
            let failed = || t.shared.failure.is_set();
            let reached = |word, count| t.word(word).load(Acquire) >= count || failed();
            t.wait_until("the guests", || reached(CACHED, others));
            t.map(PAGE, new_frame(0));
            t.word(CHANGED).store(1, Release);
            t.wait_until("the guests' loads", || reached(SHOWN, others));
            t.flush(t.pages(0, 1));
            t.word(FLUSHED).store(1, Release);
        } else {
            stay(t, guest);
        }
    });
    t.step(Participants::Initiator, || {
        let mut targets = (0..t.platform.cpus()).filter(|cpu| *cpu != t.me);
        let old = |cpu: u32| t.published(cpu).load(Acquire) == old_value(0);
        let stale = targets.by_ref().filter(|cpu| old(*cpu)).count();
        t.observe(format_args!(
            "of {others} guests {stale} used the old translation after the host's was flushed"
        ));
        if forgotten > 0 {
            t.observe(format_args!(
                "{forgotten} CPUs drop the host's translations when a guest runs: \
                 what the flush did there is not shown"
            ));
        }
    });
    t.step(Participants::Others, || {
        t.expect_gone(PAGE, new_value(0));
    });
}

/// Returns, on the initiator, how many CPUs evict the host's translation when a guest runs and
/// nothing is flushed.
fn forgotten_by_guests<L: Platform>(t: &TestRun<'_, L>, guest: &dyn Guest) -> usize {
    let is_new = |cpu: &u32| t.published(*cpu).load(Acquire) == new_value(0);
    t.step(Participants::Initiator, || t.map(PAGE, new_frame(0)));
    t.step(Participants::Others, || {
        if !guest.run(&|| true) {
            t.fail(GuestEnds, Place::Number(t.me), 1, 0);
        }
        let found = t.platform.load(PAGE, 0).unwrap_or(u64::MAX);
        if found != old_value(0) {
            t.blame_driver(PAGE);
        }
        t.published(t.me).store(found, Release);
    });
    let forgotten = (0..t.platform.cpus()).filter(|cpu| *cpu != t.me && is_new(cpu));
    let forgotten = forgotten.count();
    t.step(Participants::Initiator, || t.map(PAGE, old_frame(0)));
    t.step(Participants::All, || t.platform.flush_own_tlb());
    forgotten
}

/// The states of a guest, in order.
#[derive(Clone, Copy)]
enum State {
    Entered,
    Cached,
    Shown,
}

fn stay<L: Platform>(t: &TestRun<'_, L>, guest: &dyn Guest) {
    let state = Cell::new(State::Entered);
    let at = Place::At(PAGE);
    let load = || t.platform.load(PAGE, 0).unwrap_or(u64::MAX);
    let ended = guest.run(&|| {
        let is_set = |word| t.word(word).load(Acquire) != 0;
        match state.get() {
            State::Entered => {
                t.assert(Mapped, at, old_value(0), load());
                state.set(State::Cached);
                t.word(CACHED).fetch_add(1, AcqRel);
            }
            State::Cached if is_set(CHANGED) => {
                let found = load();
                t.shared.controls.take(t.me, found, new_value(0));
                t.assert(Control, at, old_value(0), found);
                state.set(State::Shown);
                t.word(SHOWN).fetch_add(1, AcqRel);
            }
            State::Shown if is_set(FLUSHED) => {
                let found = load();
                t.published(t.me).store(found, Release);
                if found != old_value(0) {
                    t.assert(Flushed, at, new_value(0), found);
                }
                return true;
            }
            State::Cached | State::Shown => {}
        }
        t.shared.failure.is_set()
    });
    if !ended {
        t.fail(GuestEnds, Place::Number(t.me), 1, 0);
    }
}
