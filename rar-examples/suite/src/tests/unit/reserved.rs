//! Register writes that no document allows, and their effect.

use core::fmt;

use crate::platform::{Page, Platform};
use crate::test_run::{Participants, TestRun, new_value};
use crate::tests::unit::bench::{Bench, FIRST, SERVING, without_driver};
use crate::tests::unit::steps::prepare;
use crate::units::Register;

/// The effect of writing the bits of a register one at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Fates {
    refused: u64,
    kept: u64,
    ignored: u64,
}

/// *Observed*: each reserved bit of the control register and of the bases, written with a legal
/// value while the unit is disabled.
pub(crate) fn bits<L: Platform>(t: &TestRun<'_, L>) {
    on_the_initiator(t, |bench| {
        bench.write(Register::Control, 0);
        let addresses = bench.units.addresses();
        let above = u64::MAX << bench.units.physical_address_bits();
        for (name, register, value, reserved) in [
            ("control", Register::Control, 0, !SERVING),
            (
                "vector",
                Register::ActionVectorBase,
                addresses.vector,
                above | 0x3f,
            ),
            (
                "table",
                Register::PayloadTableBase,
                addresses.table,
                above | 0xfff,
            ),
        ] {
            let fates = fates(bench, register, value, reserved);
            t.observe(format_args!("{name}: {fates}"));
        }
    });
}

/// *Observed*: a base written with its current value while the unit is enabled.
pub(crate) fn rebase<L: Platform>(t: &TestRun<'_, L>) {
    on_the_initiator(t, |bench| {
        let addresses = bench.units.addresses();
        for (name, register, value) in [
            ("vector", Register::ActionVectorBase, addresses.vector),
            ("table", Register::PayloadTableBase, addresses.table),
        ] {
            let became = match bench.units.write(register, value) {
                Ok(()) => "may be written",
                Err(_) => "raises #GP",
            };
            t.observe(format_args!("{name} {became} while enabled"));
        }
    });
}

fn fates<L: Platform>(
    bench: &Bench<'_, '_, L>,
    register: Register,
    value: u64,
    reserved: u64,
) -> Fates {
    let mut fates = Fates::default();
    for bit in (0..64)
        .map(|bit| 1 << bit)
        .filter(|bit| reserved & bit != 0)
    {
        let fate = match bench.units.write(register, value | bit) {
            Err(_) => &mut fates.refused,
            Ok(()) if bench.units.read(register).is_ok_and(|now| now & bit != 0) => &mut fates.kept,
            Ok(()) => &mut fates.ignored,
        };
        *fate |= bit;
        bench.write(register, value);
    }
    fates
}

/// The initiator tries its registers; the next CPU shows that the unit still works.
fn on_the_initiator<'a, L: Platform>(t: &TestRun<'a, L>, registers: impl Fn(&Bench<'_, 'a, L>)) {
    without_driver(t, |bench| {
        prepare(bench, 1);
        t.step(Participants::Initiator, || {
            registers(bench);
            bench.program(SERVING);
        });
        let sender = (t.initiator + 1) % t.platform.cpus();
        t.step(Participants::Others, || {
            if t.me == sender {
                bench.flush_others(FIRST, bench.pages(0, 1));
            }
        });
        t.step(Participants::Initiator, || {
            t.expect_gone(Page::Small(0), new_value(0));
        });
    });
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, bits) in [
            ("#GP", self.refused),
            ("kept", self.kept),
            ("ignored", self.ignored),
        ] {
            if bits != 0 {
                write!(f, "{separator}{name} {bits:#x}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}
