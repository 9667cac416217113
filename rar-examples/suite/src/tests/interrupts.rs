//! Targets that are halted, and targets with interrupts disabled.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::failure::Assertion::{Control, Counter, FlushEnds, Flushed, Order};
use crate::failure::Place;
use crate::platform::{Page, Platform, Scope};
use crate::test_run::{Participants, TestRun, new_value, old_value};
use crate::tests::remap::{expect_flushed, expect_new, map_and_touch, remap_and_control};

/// How many targets are ready for the flush.
const READY: usize = 0;
/// Set when the flush is under way.
const STARTED: usize = 1;
/// Set when the flush has ended.
const ENDED: usize = 2;
/// Numbers the events whose order is asserted.
const CLOCK: usize = 3;

/// The targets are in `HLT` when the flush is made.
pub(crate) fn halted<L: Platform>(t: &TestRun<'_, L>) {
    map_and_touch(t, 0, 4, Scope::Space);
    remap_and_control(t, 0, 4, Scope::Space);
    t.step(Participants::All, || {
        if t.is_initiator() {
            await_ready(t);
            t.flush(t.pages(0, 4));
            t.word(ENDED).store(1, Release);
            for cpu in (0..t.platform.cpus()).filter(|cpu| *cpu != t.me) {
                t.platform.wake(rar_percpu::CpuId::new(cpu));
            }
        } else {
            t.platform.disable_interrupts();
            t.word(READY).fetch_add(1, AcqRel);
            while t.word(ENDED).load(Acquire) == 0 && !t.shared.failure.is_set() {
                // Interrupts are off between the check and the halt, so that no wake-up is lost.
                t.platform.halt();
                t.platform.disable_interrupts();
            }
            t.platform.enable_interrupts();
        }
    });
    expect_flushed(t, 0, 4);
}

/// The targets have interrupts disabled when the flush starts. A software flush ends after they
/// enable them; a RAR unit with IGNORE_IF ends it at once. The order of events shows which.
pub(crate) fn off<L: Platform>(t: &TestRun<'_, L>) {
    let in_software = t.platform.backend() == rar_vocabulary::Backend::Software;
    map_and_touch(t, 0, 4, Scope::Space);
    remap_and_control(t, 0, 4, Scope::Space);
    t.step(Participants::All, || {
        if t.is_initiator() {
            flush_with_order(t, in_software)
        } else {
            stay_off(t, in_software)
        }
    });
    expect_flushed(t, 0, 4);
}

/// The targets keep interrupts disabled until the flush has ended: neither the signal nor the
/// fallback reaches them, only an NMI.
pub(crate) fn off_for_good<L: Platform>(t: &TestRun<'_, L>) {
    map_and_touch(t, 0, 4, Scope::Space);
    remap_and_control(t, 0, 4, Scope::Space);
    t.step(Participants::All, || {
        if t.is_initiator() {
            await_ready(t);
            let before = t.platform.shootdown().statistics();
            t.flush(t.pages(0, 4));
            let after = t.platform.shootdown().statistics();
            t.word(ENDED).store(1, Release);
            t.assert(Counter, Place::Number(0), 1, after.nmis - before.nmis);
            let others = u64::from(t.platform.cpus()) - 1;
            let late = after.fallbacks - before.fallbacks;
            t.assert(Counter, Place::Number(1), others, late);
        } else {
            t.platform.disable_interrupts();
            t.word(READY).fetch_add(1, AcqRel);
            t.wait_until("the flush", || {
                t.word(ENDED).load(Acquire) != 0 || t.shared.failure.is_set()
            });
            // Interrupts are still disabled, so the NMI made the flush.
            t.expect(Flushed, Page::Small(0), new_value(0));
            t.platform.enable_interrupts();
        }
    });
    expect_new(t, 0, 4);
}

fn flush_with_order<L: Platform>(t: &TestRun<'_, L>, in_software: bool) {
    await_ready(t);
    let cpu = t.platform.pin();
    t.shared.flushes.fetch_add(1, AcqRel);
    let pending = t
        .platform
        .shootdown()
        .start(&cpu, &[t.pages(0, 4)], &t.shared.first, ());
    t.word(STARTED).store(1, Release);
    if pending.wait(&cpu).is_err() {
        t.fail(FlushEnds, Place::Number(0), 0, 1);
    }
    let ended = tick(t);
    t.word(ENDED).store(1, Release);
    t.wait_until("the targets' enabling", || {
        (0..t.platform.cpus()).all(|cpu| {
            cpu == t.me || t.published(cpu).load(Acquire) != 0 || t.shared.failure.is_set()
        })
    });
    for cpu in (0..t.platform.cpus()).filter(|cpu| *cpu != t.me) {
        let enabled = t.published(cpu).load(Acquire);
        if (enabled < ended) != in_software {
            t.fail(Order, Place::Number(cpu), ended, enabled);
        }
    }
}

fn stay_off<L: Platform>(t: &TestRun<'_, L>, in_software: bool) {
    t.platform.disable_interrupts();
    t.word(READY).fetch_add(1, AcqRel);
    let go_on = if in_software { STARTED } else { ENDED };
    t.wait_until("the flush", || {
        t.word(go_on).load(Acquire) != 0 || t.shared.failure.is_set()
    });
    if in_software {
        // The signal is sent and cannot have been served yet.
        let found = t.platform.load(Page::Small(0), 0).unwrap_or(u64::MAX);
        t.assert(Control, Place::At(Page::Small(0)), old_value(0), found);
    }
    t.published(t.me).store(tick(t), Release);
    t.platform.enable_interrupts();
}

fn await_ready<L: Platform>(t: &TestRun<'_, L>) {
    let all = u64::from(t.platform.cpus()) - 1;
    t.wait_until("the targets", || {
        t.word(READY).load(Acquire) == all || t.shared.failure.is_set()
    });
}

/// Returns the number of this event, 1 for the first.
fn tick<L: Platform>(t: &TestRun<'_, L>) -> u64 {
    t.word(CLOCK).fetch_add(1, AcqRel) + 1
}
