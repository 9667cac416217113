//! Targets that run an application: in user mode, in a loop of loads that never pauses.

use core::sync::atomic::Ordering::{Acquire, Release};

use rar_percpu::CpuId;

use crate::failure::Assertion::{Control, Flushed, Mapped};
use crate::failure::Place;
use crate::modes::UserMode;
use crate::platform::{Access, Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_frame, new_value, old_frame, old_value};

const PAGE: Page = Page::Small(0);
/// Set when the flush has returned.
const FLUSHED: usize = 0;
/// How many targets loop during the flush. An emulator that runs its CPUs in turns gives each a
/// whole turn.
const LOOPING: u32 = 2;
/// How many loads of a target must find the old value before the flush.
const STALE_ROUNDS: u64 = 500;
/// How many loads of a target may be uncounted when the flush returns: more than the stores of
/// their count that a store buffer holds.
const LATE_ROUNDS: u64 = 256;
/// Ends an endless loop long before the timeout of a barrier.
const MILLISECONDS: u64 = 8_000;

/// Every CPU uses the page in user mode only, and some read it in a loop: they must read the old
/// frame until the flush, and the new one after it.
pub(crate) fn target<L: Platform>(t: &TestRun<'_, L>) {
    // A machine without user mode skips the test.
    let Some(user) = t.platform.user_mode() else {
        return;
    };
    let at = Place::At(PAGE);
    t.step(Participants::Initiator, || {
        t.platform.store_frame(old_frame(0), 0, old_value(0));
        t.platform.store_frame(new_frame(0), 0, new_value(0));
        t.map_as(PAGE, old_frame(0), Access::User, Scope::Space);
    });
    t.step(Participants::All, || {
        t.assert(Mapped, at, old_value(0), load_once(user));
    });
    t.step(Participants::Initiator, || {
        t.map_as(PAGE, new_frame(0), Access::User, Scope::Space);
    });
    t.step(Participants::All, || {
        let found = load_once(user);
        t.shared.controls.take(t.me, found, new_value(0));
        t.assert(Control, at, old_value(0), found);
    });
    t.step(Participants::All, || {
        if t.is_initiator() {
            flush_under_loads(t, user);
        } else if t.distance() <= LOOPING {
            let found = user.spin(PAGE, old_value(0), MILLISECONDS);
            t.published(t.me).store(1, Release);
            // Without a flush the old value is correct.
            if found != old_value(0) || t.word(FLUSHED).load(Acquire) != 0 {
                t.assert(Flushed, at, new_value(0), found);
            }
        }
    });
    t.step(Participants::All, || {
        t.assert(Flushed, at, new_value(0), load_once(user));
        if !t.is_initiator() {
            t.expect_asked(PAGE);
        }
    });
}

fn load_once(user: &dyn UserMode) -> u64 {
    // No page holds it, so the first load ends the loop.
    user.spin(PAGE, u64::MAX - 1, MILLISECONDS)
}

fn flush_under_loads<L: Platform>(t: &TestRun<'_, L>, user: &dyn UserMode) {
    let looping = || (0..t.platform.cpus()).filter(|cpu| is_looping(t, *cpu));
    for cpu in looping() {
        await_rounds(t, user, cpu, STALE_ROUNDS);
        if is_over(t, cpu) {
            t.fail_control(cpu, Place::Number(cpu), old_value(0), new_value(0));
        }
    }
    if t.shared.failure.is_set() {
        return looping().for_each(|cpu| user.leave(CpuId::new(cpu)));
    }
    t.flush(t.pages(0, 1));
    t.word(FLUSHED).store(1, Release);
    for cpu in looping() {
        await_rounds(t, user, cpu, LATE_ROUNDS);
        user.leave(CpuId::new(cpu));
    }
}

/// Whether a CPU is one of those that loop: the nearest above the initiator.
fn is_looping<L: Platform>(t: &TestRun<'_, L>, cpu: u32) -> bool {
    let cpus = t.platform.cpus();
    (1..=LOOPING).contains(&((cpu + cpus - t.initiator) % cpus))
}

/// Waits until a target has made `rounds` more loads, or has ended its loop.
fn await_rounds<L: Platform>(t: &TestRun<'_, L>, user: &dyn UserMode, cpu: u32, rounds: u64) {
    let made = || user.rounds(CpuId::new(cpu));
    let enough = made() + rounds;
    t.wait_until("a loop in user mode", || {
        made() >= enough || is_over(t, cpu) || t.shared.failure.is_set()
    });
}

fn is_over<L: Platform>(t: &TestRun<'_, L>, cpu: u32) -> bool {
    t.published(cpu).load(Acquire) != 0
}
