//! INIT.

use core::sync::atomic::Ordering::Relaxed;

use crate::platform::{Platform, Scope};
use crate::test_run::{Participants, TestRun};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{FIRST, SERVING, without_driver};
use crate::tests::unit::steps::{expect_page_0_flushed, hold_a_signal};
use crate::units::{ENABLE, Register};

/// The registers survive INIT, and the unit serves as before.
///
/// *Observed* if they do not: no source says what INIT does to them. A driver writes all of them
/// whenever a CPU comes online.
pub(crate) fn registers<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        t.step(Participants::Others, || {
            bench.program(SERVING);
            bench.units.reset();
            let addresses = bench.units.addresses();
            let programmed = [
                (Register::Control, SERVING),
                (Register::ActionVectorBase, addresses.vector),
                (Register::PayloadTableBase, addresses.table),
            ];
            let lost = programmed
                .iter()
                .filter(|(register, value)| bench.units.read(*register) != Ok(*value));
            let lost = lost.fold(0, |lost, (register, _)| lost | 1 << bit(*register));
            if lost != 0 {
                t.word(LOST).fetch_or(lost, Relaxed);
                bench.program(SERVING);
            }
        });
        t.empty_tlbs();
        map_and_touch(t, 0, 1, Scope::Space);
        remap_and_control(t, 0, 1, Scope::Space);
        t.step(Participants::Initiator, || {
            bench.flush_others(FIRST, bench.pages(0, 1))
        });
        expect_page_0_flushed(bench);
    });
    for (name, register) in [
        ("the control register", Register::Control),
        ("the vector's base", Register::ActionVectorBase),
        ("the table's base", Register::PayloadTableBase),
    ] {
        if t.word(LOST).load(Relaxed) >> bit(register) & 1 != 0 {
            t.observe(format_args!("INIT changes {name}"));
        }
    }
}

/// The word in which CPUs note what they lost.
const LOST: usize = 0;

const fn bit(register: Register) -> u32 {
    register as u32 - Register::Control as u32
}

/// A signal that was not served before INIT is not served after it.
pub(crate) fn signal<L: Platform>(t: &TestRun<'_, L>) {
    without_driver(t, |bench| {
        hold_a_signal(bench);
        t.step(Participants::Others, || {
            bench.units.reset();
            if bench.units.read(Register::Control) != Ok(ENABLE) {
                bench.program(ENABLE);
            }
            t.platform.enable_interrupts();
        });
        t.step(Participants::Initiator, || {
            bench.expect_untouched(FIRST, bench.others())
        });
        t.step(Participants::Initiator, || {
            bench.signal(bench.others());
            bench.await_success(FIRST, bench.others());
        });
        expect_page_0_flushed(bench);
    });
}
