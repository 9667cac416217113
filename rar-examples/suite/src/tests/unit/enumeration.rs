//! What each CPU reports about its unit.

use core::sync::atomic::Ordering::{Acquire, Release};

use crate::failure::Assertion::Alike;
use crate::platform::Platform;
use crate::test_run::{Participants, TestRun};
use crate::tests::unit::bench::{Bench, FIRST, number_of, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, prepare};
use crate::units::Register;

/// *Observed*: the registers that enumerate RAR. All CPUs must report the same.
pub(crate) fn everywhere<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        for (register, name) in [
            (Register::CoreCapabilities, "core capabilities"),
            (Register::Info, "information"),
        ] {
            compare(bench, register, name);
        }
        t.step(Participants::Initiator, || {
            bench.flush_others(FIRST, bench.pages(0, 1))
        });
        expect_page_0_flushed(bench);
    });
}

fn compare<L: Platform>(bench: &Bench<'_, '_, L>, register: Register, name: &str) {
    let t = bench.t;
    t.step(Participants::All, || {
        let said = bench.units.read(register).unwrap_or(u64::MAX);
        t.published(t.me).store(said, Release);
    });
    t.step(Participants::Initiator, || {
        let own = t.published(t.me).load(Acquire);
        for cpu in bench.others() {
            let other = t.published(cpu).load(Acquire);
            t.assert(Alike, number_of(register), own, other);
        }
        t.observe(format_args!("{name} {own:#x}"));
    });
}
