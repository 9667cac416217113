//! The registers of a unit: which values they keep, and which fault.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use crate::failure::Assertion::{Refused, Register as Holds};
use crate::platform::{Platform, Scope};
use crate::test_run::{Participants, TestRun};
use crate::tests::remap::{map_and_touch, remap_and_control};
use crate::tests::unit::bench::{Bench, FIRST, SERVING, number_of, without_driver};
use crate::tests::unit::steps::expect_page_0_flushed;
use crate::units::{ENABLE, IGNORE_IF, Register};

/// Legal values read back, the driver uses as many entries as the unit reports, and read-only
/// registers fault on writes.
pub(crate) fn legal<L: Platform>(t: &TestRun<'_, L>) {
    flush_around(t, |bench| {
        for control in [0, IGNORE_IF, ENABLE, SERVING] {
            bench.program(control);
            let addresses = bench.units.addresses();
            bench.expect_register(Register::Control, control);
            bench.expect_register(Register::ActionVectorBase, addresses.vector);
            bench.expect_register(Register::PayloadTableBase, addresses.table);
        }
        let info = bench.units.read(Register::Info).unwrap_or(u64::MAX);
        let entries = bench.t.platform.shootdown().domain().entries() as u64;
        // 37:32 is the highest index; higher bits read as zero.
        t.assert(Holds, number_of(Register::Info), entries - 1, info >> 32);
        let capabilities = bench.units.read(Register::CoreCapabilities).unwrap_or(0);
        let rar = capabilities >> 1 & 1;
        t.assert(Holds, number_of(Register::CoreCapabilities), 1, rar);
        refuse(bench, Register::Info, info);
        refuse(bench, Register::CoreCapabilities, capabilities);
    });
}

/// Each reserved bit of the control register faults, alone and with a legal value, and changes
/// nothing.
///
/// *Observed* if it does not fault: documents call the bits reserved, and only the general rule for
/// MSRs makes them fault.
pub(crate) fn control_bits<L: Platform>(t: &TestRun<'_, L>) {
    flush_around(t, |bench| {
        for bit in (0..64).filter(|bit| SERVING >> bit & 1 == 0) {
            reserved(bench, Register::Control, 0, bit);
            reserved(bench, Register::Control, SERVING, bit);
        }
    });
    tell_of_taken(t, &[("the control register", Register::Control)]);
}

/// Each bit of a base below its alignment, and at or above MAXPHYADDR, faults and changes nothing.
///
/// *Observed* if it does not fault, as for the control register.
pub(crate) fn base_bits<L: Platform>(t: &TestRun<'_, L>) {
    flush_around(t, |bench| {
        bench.write(Register::Control, 0);
        let addresses = bench.units.addresses();
        let bases = [
            (Register::ActionVectorBase, addresses.vector, 6),
            (Register::PayloadTableBase, addresses.table, 12),
        ];
        for (register, base, alignment) in bases {
            let above = bench.units.physical_address_bits()..64;
            for bit in (0..alignment).chain(above) {
                reserved(bench, register, base, bit);
            }
        }
    });
    let bases = [
        ("the vector's base", Register::ActionVectorBase),
        ("the table's base", Register::PayloadTableBase),
    ];
    tell_of_taken(t, &bases);
}

/// Writes a reserved bit with a legal value. The write must fault and keep the register's value;
/// otherwise it is recorded and undone.
fn reserved<L: Platform>(bench: &Bench<'_, '_, L>, register: Register, legal: u64, bit: u32) {
    let before = bench.units.read(register).unwrap_or(u64::MAX);
    match bench.units.write(register, legal | 1 << bit) {
        Err(_) => bench.expect_register(register, before),
        Ok(()) => {
            taken(bench.t, register).fetch_or(1 << bit, Relaxed);
            bench.write(register, before);
        }
    }
}

/// The reserved bits of a register whose write did not fault on some CPU.
fn taken<'a, L: Platform>(t: &TestRun<'a, L>, register: Register) -> &'a AtomicU64 {
    t.word(match register {
        Register::ActionVectorBase => 1,
        Register::PayloadTableBase => 2,
        _ => 0,
    })
}

fn tell_of_taken<L: Platform>(t: &TestRun<'_, L>, registers: &[(&str, Register)]) {
    for (name, register) in registers {
        let bits = taken(t, *register).load(Relaxed);
        if bits != 0 {
            t.observe(format_args!(
                "reserved bits {bits:#x} of {name} raise no #GP"
            ));
        }
    }
}

/// Asserts that a write faults and that the register keeps its value.
fn refuse<L: Platform>(bench: &Bench<'_, '_, L>, register: Register, value: u64) {
    let before = bench.units.read(register);
    if bench.units.write(register, value).is_ok() {
        // The message states the value written; the register may show another.
        bench.t.fail(Refused, number_of(register), u64::MAX, value);
    }
    if let Ok(before) = before {
        bench.expect_register(register, before);
    }
}

/// Has every CPU try its registers, then flushes by the units, which must still work.
fn flush_around<'a, L: Platform>(t: &TestRun<'a, L>, registers: impl Fn(&Bench<'_, 'a, L>)) {
    without_driver(t, |bench| {
        map_and_touch(t, 0, 1, Scope::Space);
        remap_and_control(t, 0, 1, Scope::Space);
        t.step(Participants::All, || {
            bench.program(SERVING);
            registers(bench);
            bench.program(SERVING);
        });
        t.step(Participants::Initiator, || {
            bench.flush_others(FIRST, bench.pages(0, 1))
        });
        expect_page_0_flushed(bench);
    });
}
