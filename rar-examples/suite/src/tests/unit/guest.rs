//! Entries for the host while a guest runs.

use core::cell::Cell;
use core::sync::atomic::Ordering::Acquire;

use crate::failure::Assertion::GuestEnds;
use crate::failure::Place;
use crate::platform::Platform;
use crate::test_run::{Participants, TestRun};
use crate::tests::unit::bench::{FIRST, GO, READY, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, prepare};

/// An entry flushes the translations of the host that it names, also while a guest runs.
///
/// *Observed*: the document's section about guests is not public, but a host has no use for any
/// other behaviour.
pub(crate) fn runs<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::All, || {
            if t.is_initiator() {
                bench.await_moment(READY, t.platform.cpus() - 1);
                bench.flush_others(FIRST, bench.pages(0, 1));
                bench.announce(GO);
            } else {
                let entered = Cell::new(false);
                let ended = bench.units.run_guest(&|| {
                    if !entered.replace(true) {
                        bench.announce(READY);
                    }
                    t.word(GO).load(Acquire) != 0 || t.shared.failure.is_set()
                });
                if !ended {
                    t.fail(GuestEnds, Place::Number(t.me), 1, 0);
                }
            }
        });
        expect_page_0_flushed(bench);
    });
}
