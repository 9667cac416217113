//! The targets write without a pause: after the flush no store reaches the old frame.

use core::sync::atomic::Ordering::{Acquire, Release};

use crate::failure::Assertion::{Frozen, Mapped};
use crate::failure::Place;
use crate::platform::{Frame, Page, Platform, StoreKind};
use crate::test_run::{Participants, TestRun, new_frame, old_frame};

const PAGE: Page = Page::Small(1);
const NUMBER: u16 = 1;
/// Records the old frame's content at the end of the flush.
const KEPT: Frame = Frame::Small(900);
/// Set by the initiator when the writers may stop.
const STOP: usize = 0;
/// How long the old frame is watched after the flush, in rounds of all writers.
const ROUNDS: u64 = 4;

pub(crate) fn plain<L: Platform>(t: &TestRun<'_, L>) {
    writers(t, StoreKind::Plain);
}

pub(crate) fn non_temporal<L: Platform>(t: &TestRun<'_, L>) {
    writers(t, StoreKind::NonTemporal);
}

fn writers<L: Platform>(t: &TestRun<'_, L>, kind: StoreKind) {
    t.step(Participants::Initiator, || {
        for word in 0..word_count(t) {
            t.platform.store_frame(old_frame(NUMBER), word, 0);
            t.platform.store_frame(new_frame(NUMBER), word, 0);
        }
        t.map(PAGE, old_frame(NUMBER));
    });
    t.step(Participants::All, || {
        if t.is_initiator() {
            remap_under_writers(t)
        } else {
            write_until_stopped(t, kind)
        }
    });
}

/// Each writer counts up in its own word and publishes the count.
fn write_until_stopped<L: Platform>(t: &TestRun<'_, L>, kind: StoreKind) {
    let mut count = 0;
    t.note_cached();
    while t.word(STOP).load(Acquire) == 0 {
        count += 1;
        if t.platform.store(PAGE, word_of(t.me), count, kind).is_err() {
            t.fail(Mapped, Place::At(PAGE), 0, 1);
            return;
        }
        t.published(t.me).store(count, Release);
        t.platform.relax();
    }
}

fn remap_under_writers<L: Platform>(t: &TestRun<'_, L>) {
    let progress = |rounds: u64| {
        for cpu in others(t) {
            let before = t.published(cpu).load(Acquire);
            t.wait_until("the writers", || {
                t.published(cpu).load(Acquire) >= before + rounds || t.shared.failure.is_set()
            });
        }
    };
    let old = |cpu| t.platform.load_frame(old_frame(NUMBER), word_of(cpu));

    progress(ROUNDS);
    t.map(PAGE, new_frame(NUMBER));
    for cpu in others(t) {
        let before = old(cpu);
        let published = t.published(cpu).load(Acquire);
        // At least one whole store of this writer follows the change of the entry.
        t.wait_until("a writer", || {
            t.published(cpu).load(Acquire) >= published + 2 || t.shared.failure.is_set()
        });
        let stale = old(cpu);
        // How many stores reached the old frame after the change of the entry; none may after the
        // flush.
        t.shared.controls.take(cpu, stale.saturating_sub(before), 0);
        if stale <= before {
            t.fail_control(cpu, Place::Number(cpu), before + 1, stale);
        }
    }
    if t.shared.failure.is_set() {
        // All waits return at once now and show nothing.
        return t.word(STOP).store(1, Release);
    }
    t.flush(t.pages(NUMBER, 1));
    for cpu in others(t) {
        t.platform.store_frame(KEPT, word_of(cpu), old(cpu));
    }
    progress(ROUNDS);
    for cpu in others(t) {
        t.assert(
            Frozen,
            Place::Number(cpu),
            t.platform.load_frame(KEPT, word_of(cpu)),
            old(cpu),
        );
        if t.platform.load_frame(new_frame(NUMBER), word_of(cpu)) == 0 {
            t.fail(Frozen, Place::Number(cpu), 1, 0);
        }
    }
    t.word(STOP).store(1, Release);
}

fn others<L: Platform>(t: &TestRun<'_, L>) -> impl Iterator<Item = u32> + use<L> {
    let initiator = t.initiator;
    (0..t.platform.cpus().min(u32::from(word_count(t)))).filter(move |cpu| *cpu != initiator)
}

fn word_count<L: Platform>(t: &TestRun<'_, L>) -> u16 {
    u16::try_from(t.platform.cpus()).unwrap_or(512).min(512)
}

fn word_of(cpu: u32) -> u16 {
    u16::try_from(cpu % 512).unwrap_or(0)
}
