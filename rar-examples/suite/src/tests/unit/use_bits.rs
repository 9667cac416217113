//! A and D bits after a flush by units.

use crate::platform::Platform;
use crate::test_run::{Participants, TestRun};
use crate::tests::unit::bench::{FIRST, SERVING, without_driver};
use crate::tests::use_bits::{expect_recorded, own_page, pages, prepare};
use crate::use_bit::UseBit;

pub(crate) fn accessed<L: Platform>(t: &TestRun<'_, L>) {
    by_units(t, UseBit::Accessed);
}

pub(crate) fn dirty<L: Platform>(t: &TestRun<'_, L>) {
    by_units(t, UseBit::Dirty);
}

/// The first use of a page after SUCCESS sets the bit that software cleared before the signal.
fn by_units<L: Platform>(t: &TestRun<'_, L>, bit: UseBit) {
    without_driver(t, |bench| {
        prepare(t, bit, Participants::Others);
        t.step(Participants::All, || bench.program(SERVING));
        t.step(Participants::Initiator, || {
            bench.flush_others(FIRST, bench.pages(0, pages(t)));
        });
        expect_recorded(t, bit, Participants::Others);
        t.step(Participants::Others, || t.expect_asked(own_page(t)));
    });
}
