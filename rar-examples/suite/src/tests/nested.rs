//! An interrupt handler flushes while the interrupted code has a flush in flight.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use rar_payload::{PageRange, PageSize, Request};

use crate::failure::Assertion::{FlushEnds, Order};
use crate::failure::Place;
use crate::platform::{Page, Platform, Scope};
use crate::shared::Shared;
use crate::space::Space;
use crate::test_run::{Participants, TestRun};
use crate::tests::remap::{expect_flushed, map_and_touch, remap_and_control};

/// Values of [`Shared::errand`].
const NOTHING: u8 = 0;
const FLUSH_PAGE_1: u8 = 1;
const DONE: u8 = 2;
const FAILED: u8 = 3;

pub(crate) fn from_interrupt<L: Platform>(t: &TestRun<'_, L>) {
    map_and_touch(t, 0, 2, Scope::Space);
    remap_and_control(t, 0, 2, Scope::Space);
    t.step(Participants::Initiator, || {
        t.shared.flushes.fetch_add(2, AcqRel);
        let cpu = t.platform.pin();
        let outer = t
            .platform
            .shootdown()
            .start(&cpu, &[t.pages(0, 1)], &t.shared.first, ());
        t.shared.errand.store(FLUSH_PAGE_1, Release);
        t.platform.interrupt_self();
        let errand = t.shared.errand.swap(NOTHING, AcqRel);
        t.assert(Order, Place::Number(1), u64::from(DONE), u64::from(errand));
        if outer.wait(&cpu).is_err() {
            t.fail(FlushEnds, Place::Number(0), 0, 1);
        }
    });
    expect_flushed(t, 0, 2);
}

/// The part of the interrupt handler.
pub(crate) fn on_interrupt<L: Platform>(shared: &Shared, platform: &L) {
    if shared.errand.load(Acquire) != FLUSH_PAGE_1 {
        return;
    }
    let cpu = platform.pin();
    let flushed =
        PageRange::page(platform.address(Page::Small(1)), PageSize::Size4K).is_ok_and(|range| {
            let request = Request::Pages {
                pcid: platform.pcid(Space::First),
                range,
            };
            platform
                .shootdown()
                .flush(&cpu, &[request], &shared.first)
                .is_ok()
        });
    shared
        .errand
        .store(if flushed { DONE } else { FAILED }, Release);
}
