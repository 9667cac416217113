//! A target that ignores the signal, and one that ignores everything.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use rar_shootdown::FlushError;

use crate::failure::Assertion::{Counter, FlushEnds, FlushFails, Flushed, Sent, StillOwned};
use crate::failure::Place;
use crate::platform::{DeafTo, Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};

/// Set when the target has interrupts disabled.
const READY: usize = 0;
/// Set when the flush has ended.
const ENDED: usize = 1;

/// The CPU after the initiator ignores the signal: the fallback flushes it, and its slot is
/// quarantined. The driver arms no more entries for a CPU with a silent unit until the unit is
/// reprogrammed.
pub(crate) fn signal_unheard<L: Platform>(t: &TestRun<'_, L>) {
    // The handler of an interrupt answers entries and generations alike, so that a CPU without a
    // unit is never demoted.
    let by_unit = u64::from(t.platform.backend() != rar_vocabulary::Backend::Software);
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    set_deaf_to(t, DeafTo::Signals);
    t.step(Participants::Initiator, || {
        let before = t.platform.shootdown().statistics();
        t.flush(t.pages(0, 1));
        let after = t.platform.shootdown().statistics();
        t.assert(
            Counter,
            Place::Number(0),
            1,
            after.fallbacks - before.fallbacks,
        );
        t.assert(Counter, Place::Number(1), 1, after.quarantined as u64);
        let demoted = after.demotions - before.demotions;
        t.assert(Counter, Place::Number(4), by_unit, demoted);
    });
    expect_new(t, 0, 1);
    t.step(Participants::All, || {
        if t.me == silent(t) {
            t.assert(
                Counter,
                Place::Number(5),
                by_unit,
                u64::from(t.is_demoted()),
            );
        }
    });
    serve_again(t);
    later_flushes_work(t, t.initiator);
}

/// The CPU after the initiator ignores the signal, and has interrupts disabled until the flush has
/// ended: the fallback does not reach it, only an NMI.
pub(crate) fn deaf_and_off<L: Platform>(t: &TestRun<'_, L>) {
    let by_unit = u64::from(t.platform.backend() != rar_vocabulary::Backend::Software);
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    set_deaf_to(t, DeafTo::Signals);
    t.step(Participants::All, || {
        if t.is_initiator() {
            t.wait_until("the target", || t.word(READY).load(Acquire) != 0);
            let before = t.platform.shootdown().statistics();
            t.flush(t.pages(0, 1));
            let after = t.platform.shootdown().statistics();
            t.word(ENDED).store(1, Release);
            for (number, expected, counted) in [
                (0, 1, after.fallbacks - before.fallbacks),
                (1, 1, after.nmis - before.nmis),
                (2, by_unit, after.demotions - before.demotions),
            ] {
                t.assert(Counter, Place::Number(number), expected, counted);
            }
        } else if t.me == silent(t) {
            t.platform.disable_interrupts();
            t.word(READY).store(1, Release);
            t.wait_until("the flush", || t.word(ENDED).load(Acquire) != 0);
            // Interrupts are still disabled, so the NMI made the flush.
            t.expect(Flushed, Page::Small(0), new_value(0));
            t.platform.enable_interrupts();
        }
    });
    serve_again(t);
    expect_new(t, 0, 1);
    later_flushes_work(t, t.initiator);
}

/// Ends a deafness; also after a failed assertion: no CPU must stay demoted.
fn serve_again<L: Platform>(t: &TestRun<'_, L>) {
    if t.is_demoted() {
        t.platform.set_deaf_to(DeafTo::Nothing);
        t.platform.verify_unit();
    }
    t.barrier();
    set_deaf_to(t, DeafTo::Nothing);
}

/// The CPU after the initiator ignores everything: the flush fails, names the CPU, and keeps its
/// owned value. A second wait, when the CPU serves again, returns the value.
pub(crate) fn target_silent<L: Platform>(t: &TestRun<'_, L>) {
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    set_deaf_to(t, DeafTo::Everything);
    let dropped = AtomicBool::new(false);
    let cpu = t.platform.pin();
    let mut failed = None;
    t.step(Participants::Initiator, || {
        t.shared.flushes.fetch_add(1, AcqRel);
        let pending =
            t.platform
                .shootdown()
                .start(&cpu, &[t.pages(0, 1)], &t.shared.first, Owned(&dropped));
        match pending.wait(&cpu) {
            Ok(_) => t.fail(FlushFails, Place::Number(silent(t)), 1, 0),
            Err(late) => {
                let FlushError::NoAnswer {
                    cpu: named, entry, ..
                } = late.error
                else {
                    return;
                };
                t.assert(
                    FlushFails,
                    Place::Number(0),
                    u64::from(silent(t)),
                    u64::from(named.get()),
                );
                t.assert(
                    FlushFails,
                    Place::Number(1),
                    0x01,
                    entry.map_or(u64::MAX, |(_, byte)| u64::from(byte.0)),
                );
                failed = Some(late.pending);
            }
        }
        t.assert(
            StillOwned,
            Place::Number(0),
            0,
            u64::from(dropped.load(Relaxed)),
        );
        t.assert(
            Counter,
            Place::Number(1),
            1,
            t.platform.shootdown().statistics().quarantined as u64,
        );
    });
    set_deaf_to(t, DeafTo::Nothing);
    t.step(Participants::Initiator, || {
        let Some(pending) = failed.take() else { return };
        match pending.wait(&cpu) {
            Ok(owned) => drop(owned),
            Err(_) => t.fail(FlushEnds, Place::Number(1), 0, 1),
        }
    });
    t.step(Participants::Initiator, || {
        t.assert(
            StillOwned,
            Place::Number(1),
            1,
            u64::from(dropped.load(Relaxed)),
        )
    });
    expect_new(t, 0, 1);
    later_flushes_work(t, t.initiator);
}

/// Stands for a frame that must outlive the flush.
pub(crate) struct Owned<'a>(pub(crate) &'a AtomicBool);

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A flush of that CPU by the signal only, after which the late byte is final: the slot leaves
/// quarantine.
pub(crate) fn later_flushes_work<L: Platform>(t: &TestRun<'_, L>, flusher: u32) {
    t.empty_tlbs();
    map_and_touch(t, 4, 1, Scope::Space);
    remap_and_control(t, 4, 1, Scope::Space);
    t.step(Participants::All, || {
        if t.me != flusher {
            return;
        }
        let before = t.platform.shootdown().statistics();
        let sent = t.platform.witness().sent();
        t.flush(t.pages(4, 1));
        // The machine counts what the driver does not.
        let sent = t.platform.witness().sent().since(sent);
        t.assert(Sent, Place::Number(0), 1, sent.signals);
        t.assert(Sent, Place::Number(1), 0, sent.interrupts);
        t.platform.shootdown().domain().reclaim_slots();
        let after = t.platform.shootdown().statistics();
        t.assert(Counter, Place::Number(2), before.fallbacks, after.fallbacks);
        t.assert(
            Counter,
            Place::Number(6),
            before.by_generation,
            after.by_generation,
        );
        t.assert(Counter, Place::Number(3), 0, after.quarantined as u64);
    });
    expect_new(t, 4, 1);
}

fn set_deaf_to<L: Platform>(t: &TestRun<'_, L>, deaf_to: DeafTo) {
    t.step(Participants::All, || {
        if t.me == silent(t) {
            t.platform.set_deaf_to(deaf_to);
        }
    });
}

fn silent<L: Platform>(t: &TestRun<'_, L>) -> u32 {
    (t.initiator + 1) % t.platform.cpus()
}
