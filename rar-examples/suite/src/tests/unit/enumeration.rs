//! What each CPU reports about its unit.

use core::sync::atomic::Ordering::{Acquire, Release};

use crate::failure::Assertion::Alike;
use crate::lab::{Lab, Page, Reach};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, SERVING, number_of, without_driver};
use crate::trial::{Trial, Who, new_value};
use crate::units::Register;

/// *Observed*: the registers that enumerate RAR. All CPUs must report the same.
pub(crate) fn everywhere<L: Lab>(t: &Trial<'_, L>) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 1, Reach::Space);
        remap_and_control(t, 0, 1, Reach::Space);
        t.step(Who::All, || bench.program(SERVING));
        for (register, name) in [
            (Register::CoreCapabilities, "core capabilities"),
            (Register::Info, "information"),
        ] {
            compare(bench, register, name);
        }
        t.step(Who::Initiator, || {
            bench.flush_others(FIRST, bench.pages(0, 1))
        });
        t.step(Who::Others, || t.expect_gone(Page::Small(0), new_value(0)));
    });
}

fn compare<L: Lab>(bench: &Bench<'_, '_, L>, register: Register, name: &str) {
    let t = bench.t;
    t.step(Who::All, || {
        let said = bench.units.read(register).unwrap_or(u64::MAX);
        t.published(t.me).store(said, Release);
    });
    t.step(Who::Initiator, || {
        let own = t.published(t.me).load(Acquire);
        for cpu in bench.others() {
            let other = t.published(cpu).load(Acquire);
            t.assert(Alike, number_of(register), own, other);
        }
        t.observe(format_args!("{name} {own:#x}"));
    });
}
