//! All CPUs sleep, as in a suspend of the machine, and wake.

use core::cell::Cell;

use crate::failure::Assertion::Sent;
use crate::failure::Place;
use crate::platform::{Platform, Scope};
use crate::test_run::{Participants, TestRun};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::tests::silent::later_flushes_work;
use crate::units::{RarUnits, Register};

/// The CPUs go offline, the initiator last, and their units lose all registers. Meanwhile a page
/// table changes without a flush. The initiator comes online first, then the others: none uses an
/// old translation, though none was sent a message, and the next flush needs only the signal.
pub(crate) fn all_cpus<L: Platform>(t: &TestRun<'_, L>) {
    let asleep = Cell::new(false);
    let sent = t.platform.witness().sent();
    for participants in [Participants::Others, Participants::Initiator] {
        t.step(participants, || {
            t.platform.go_offline();
            t.platform.units().into_iter().for_each(lose_registers);
            asleep.set(true);
        });
    }
    t.empty_tlbs();
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    // Also after a failed assertion: later tests need all CPUs online.
    for is_first in [true, false] {
        if t.is_initiator() == is_first && asleep.get() {
            t.platform.come_online();
        }
        t.barrier();
    }
    expect_new(t, 0, 1);
    t.step(Participants::Initiator, || {
        let sent = t.platform.witness().sent().since(sent);
        t.assert(Sent, Place::Number(2), 0, sent.signals + sent.interrupts);
    });
    later_flushes_work(t, t.initiator);
}

/// Lets the unit of this CPU lose its registers, as in a sleep state: all that can be written are
/// zero, as after power-on.
pub(crate) fn lose_registers(units: &dyn RarUnits) {
    for register in [
        Register::Control,
        Register::ActionVectorBase,
        Register::PayloadTableBase,
    ] {
        // A register that refuses zero shows as a unit that does not answer later.
        let _refused = units.write(register, 0);
    }
}
