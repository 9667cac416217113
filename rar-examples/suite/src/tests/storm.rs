//! All CPUs initiate at once and read each other's pages.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::failure::Assertion::{Flushed, Mapped};
use crate::failure::Place;
use crate::platform::{Frame, PAGES, Page, Platform};
use crate::record::Record;
use crate::test_run::{Participants, TestRun};

/// How many CPUs have made their last flush: a word of the test.
pub(crate) const ENDED: usize = 0;
/// How many pages of others a CPU reads between two flushes of its own.
const READS: u32 = 3;
/// How many of its flushes CPU 0 makes between two records of progress.
const PROGRESS: u64 = 4096;
/// What a page reads when the storm begins, and after the control.
const FIRST: u64 = 1;
const SECOND: u64 = 2;

pub(crate) fn storm<L: Platform>(t: &TestRun<'_, L>) {
    rage(t, t.storm_flushes, || {}, |_| {});
}

/// A shorter storm with interrupts disabled everywhere: a waiting CPU serves the others' requests.
pub(crate) fn interrupts_off<L: Platform>(t: &TestRun<'_, L>) {
    let prepare = || t.platform.disable_interrupts();
    rage(t, t.storm_flushes.min(500), prepare, |_| {});
    t.platform.enable_interrupts();
}

/// Each CPU owns a page whose value only grows: it writes the next value to an unused frame, points
/// the entry there, flushes all CPUs, and publishes the value. A CPU that reads less than was
/// published before its load has used a stale translation. Each CPU calls `between` after a flush,
/// with the value.
pub(crate) fn rage<L: Platform>(
    t: &TestRun<'_, L>,
    flushes: u64,
    prepare: impl FnOnce(),
    between: impl Fn(u64),
) {
    t.step(Participants::All, || {
        set(t, FIRST);
        t.map(Page::Small(page_of(t.me)), frame_of(t.me, FIRST));
    });
    t.step(Participants::All, || {
        every_page(t, |page, _| t.expect(Mapped, page, FIRST))
    });
    t.step(Participants::All, || {
        set(t, SECOND);
        t.map(Page::Small(page_of(t.me)), frame_of(t.me, SECOND));
    });
    t.step(Participants::All, || {
        every_page(t, |page, _| t.expect_stale(page, FIRST, SECOND))
    });
    t.step(Participants::All, || {
        prepare();
        for value in SECOND..SECOND + flushes {
            if value != SECOND {
                set(t, value);
                t.map(Page::Small(page_of(t.me)), frame_of(t.me, value));
            }
            t.flush(t.pages(page_of(t.me), 1));
            t.published(t.me).store(value, Release);
            for step in 1..=READS.min(t.platform.cpus()) {
                look(t, (t.me + step) % t.platform.cpus());
            }
            if t.shared.failure.is_set() {
                break;
            }
            between(value);
            if t.me == 0 && value % PROGRESS == 0 {
                let (done, total) = (
                    value * u64::from(t.platform.cpus()),
                    flushes * u64::from(t.platform.cpus()),
                );
                t.platform.emit(&Record::Progress {
                    name: t.name,
                    done,
                    total,
                });
            }
        }
        // Interrupts may be disabled here: keep serving until all have ended.
        t.word(ENDED).fetch_add(1, AcqRel);
        let all = u64::from(t.platform.cpus());
        let cpu = t.platform.pin();
        t.wait_until("the end of the storm", || {
            let _served = t.platform.shootdown().serve(&cpu);
            // After a failure some CPUs do not even begin.
            t.word(ENDED).load(Acquire) == all || t.shared.failure.is_set()
        });
    });
    t.step(Participants::All, || {
        every_page(t, |page, cpu| {
            t.expect(Flushed, page, t.published(cpu).load(Acquire))
        })
    });
}

/// Reads the page of a CPU, which must not be older than what the CPU has published.
pub(crate) fn look<L: Platform>(t: &TestRun<'_, L>, cpu: u32) {
    let page = Page::Small(page_of(cpu));
    let published = t.published(cpu).load(Acquire);
    let found = t.platform.load(page, 0).unwrap_or(0);
    if found < published {
        t.fail(Flushed, Place::At(page), published, found);
    }
}

fn every_page<L: Platform>(t: &TestRun<'_, L>, mut check: impl FnMut(Page, u32)) {
    for cpu in 0..t.platform.cpus() {
        check(Page::Small(page_of(cpu)), cpu);
    }
}

fn set<L: Platform>(t: &TestRun<'_, L>, value: u64) {
    t.platform.store_frame(frame_of(t.me, value), 0, value);
}

/// Returns the page that a CPU changes.
pub(crate) fn page_of(cpu: u32) -> u16 {
    u16::try_from(cpu).unwrap_or(u16::MAX).min(PAGES - 1)
}

/// Four frames a page in turn, so that a read through an outdated translation never returns the
/// newest value.
fn frame_of(cpu: u32, value: u64) -> Frame {
    let turn = u16::try_from(value % 4).unwrap_or(0);
    Frame::Small(4 * page_of(cpu) + turn)
}
