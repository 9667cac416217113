//! Registers with arbitrary values when a CPU comes online, left by firmware, a sleep, or an
//! earlier kernel.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Acquire, Release};

use rar_percpu::CpuId;

use crate::failure::Assertion::{self, Counter};
use crate::failure::Place;
use crate::platform::{Platform, Scope};
use crate::raw;
use crate::test_run::{Participants, TestRun};
use crate::tests::remap::{expect_new, map_and_touch, remap_and_control};
use crate::tests::silent::later_flushes_work;
use crate::tests::sleep::lose_registers;
use crate::tests::unit::bench::{Bench, SERVING};
use crate::units::Register;

/// What the registers of a unit hold while its CPU is offline.
#[derive(Clone, Copy)]
struct Left {
    vector: bool,
    table: bool,
    control: u64,
}

/// All registers are lost; one base is lost; only ENABLE is lost; nothing is lost.
const CASES: [Left; 5] = [
    left(false, false, 0),
    left(false, true, 0),
    left(true, false, 0),
    left(true, true, 0),
    left(true, true, SERVING),
];

const fn left(vector: bool, table: bool, control: u64) -> Left {
    Left {
        vector,
        table,
        control,
    }
}

/// The number of protocol violations before, which tests of the driver compare.
const VIOLATIONS: usize = 0;

/// The driver writes all registers and clears the vector whenever a CPU comes online, and then its
/// signals work.
pub(crate) fn registers<L: Platform>(t: &TestRun<'_, L>) {
    // A machine without units skips the test.
    let Some(units) = t.platform.units() else {
        return;
    };
    let bench = Bench { t, units };
    for (case, number) in CASES.into_iter().zip(1..) {
        let offline = Cell::new(false);
        t.step(Participants::All, || {
            t.platform.go_offline();
            offline.set(true);
            leave(&bench, case);
        });
        t.step(Participants::Initiator, || {
            t.word(VIOLATIONS)
                .store(t.platform.protocol_violations().count, Release);
        });
        // Also after a failed assertion: later tests need all CPUs online.
        if offline.get() {
            t.platform.come_online();
        }
        t.barrier();
        t.step(Participants::Initiator, || {
            let before = t.word(VIOLATIONS).load(Acquire);
            let violations = t.platform.protocol_violations().count - before;
            t.assert(Counter, Place::Number(0), 0, violations);
        });
        t.empty_tlbs();
        map_and_touch(t, 0, 2, Scope::Space);
        remap_and_control(t, 0, 2, Scope::Space);
        t.step(Participants::Initiator, || {
            let before = t.platform.shootdown().statistics();
            t.flush(t.pages(0, 2));
            let after = t.platform.shootdown().statistics();
            // Units that use the leftover registers answer no flush.
            t.assert(
                Counter,
                Place::Number(number),
                before.fallbacks,
                after.fallbacks,
            );
        });
        expect_new(t, 0, 2);
    }
}

/// The units of all CPUs lose their registers while the CPUs are online, as in a deep C-state. A
/// flush goes by the fallback and demotes them. After
/// [`RarCpu::verify`](rar_percpu::RarCpu::verify) they hold their registers again, and the signal
/// is enough.
pub(crate) fn awake<L: Platform>(t: &TestRun<'_, L>) {
    // A machine without units skips the test.
    let Some(units) = t.platform.units() else {
        return;
    };
    let others = u64::from(t.platform.cpus()) - 1;
    map_and_touch(t, 0, 1, Scope::Space);
    remap_and_control(t, 0, 1, Scope::Space);
    let lost = Cell::new(false);
    t.step(Participants::All, || {
        lose_registers(units);
        lost.set(true);
    });
    t.step(Participants::Initiator, || {
        let before = t.platform.shootdown().statistics();
        t.flush(t.pages(0, 1));
        let after = t.platform.shootdown().statistics();
        for (number, expected, counted) in [
            (0, others, after.fallbacks - before.fallbacks),
            (1, others, after.demotions - before.demotions),
            (2, 0, after.nmis - before.nmis),
        ] {
            t.assert(Counter, Place::Number(number), expected, counted);
        }
    });
    expect_new(t, 0, 1);
    // Also after a failed assertion: later tests need units.
    if lost.get() {
        t.platform.verify_unit();
    }
    t.barrier();
    t.step(Participants::All, || {
        t.assert(Counter, Place::Number(3), 0, u64::from(t.is_demoted()));
        let addresses = units.addresses();
        for (register, value) in [
            (Register::Control, SERVING),
            (Register::ActionVectorBase, addresses.vector),
            (Register::PayloadTableBase, addresses.table),
        ] {
            let found = units.read(register).unwrap_or(u64::MAX);
            let place = Place::Number(register as u32);
            t.assert(Assertion::Register, place, value, found);
        }
    });
    later_flushes_work(t, t.initiator);
}

fn leave<L: Platform>(bench: &Bench<'_, '_, L>, left: Left) {
    let addresses = bench.units.addresses();
    let or_zero = |kept, base| if kept { base } else { 0 };
    bench.write(Register::Control, 0);
    let vector = or_zero(left.vector, addresses.vector);
    bench.write(Register::ActionVectorBase, vector);
    bench.write(
        Register::PayloadTableBase,
        or_zero(left.table, addresses.table),
    );
    bench.write(Register::Control, left.control);
    let domain = bench.t.platform.shootdown().domain();
    let me = CpuId::new(bench.t.me);
    bench
        .slots()
        .for_each(|(slot, _)| raw::arm(domain, me, slot));
}
