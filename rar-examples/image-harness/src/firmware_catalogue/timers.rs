//! Timers that firmware left on.

use super::row::{FirmwareRow, row};
use super::script::{io_apic_entry, output, store};

const PIT: [u16; 2] = [0x40, 0x43];
const HPET: u32 = 0xfed0_0000;
const HPET_CONFIGURATION: u32 = HPET + 0x10;
const HPET_ON: u32 = 1;
const HPET_LEGACY: u32 = 2;

/// From the registers of one timer of the HPET to those of the next.
const NEXT: u32 = 0x20;
const LEVEL: u32 = 1 << 1;
const INTERRUPTS: u32 = 1 << 2;
const PERIODIC: u32 = 1 << 3;
/// The next write of the comparator is its value, and the period is the one after.
const SETS_VALUE: u32 = 1 << 6;
const BY_MESSAGE: u32 = 1 << 14;
/// The local APIC of CPU 0, as the address of a message.
const CPU_0: u32 = 0xfee0_0000;

const fn input(number: u32) -> u32 {
    number << 9
}

/// A timer of the HPET that goes off after each period, of 10 ns ticks.
fn hpet(timer: u32, how: u32, period: u32, message: u32) -> Vec<String> {
    let at = HPET + 0x100 + timer * NEXT;
    vec![
        store(HPET_CONFIGURATION, 0),
        store(at + 0x10, message),
        store(at + 0x14, CPU_0),
        store(at, how | INTERRUPTS | PERIODIC | SETS_VALUE),
        store(at + 8, period),
        store(at + 8, period),
    ]
}

const MILLISECOND: u32 = 100_000;

/// A machine whose HPET sends this message again and again, which no code can mask.
fn message(name: &'static str, about: &'static str, vector: u8) -> FirmwareRow {
    row(name, about)
        .on(|machine| machine.more = &["-global", "hpet.msi=on"])
        .after(hpet(1, BY_MESSAGE, 20 * MILLISECOND, u32::from(vector)))
        .after([store(HPET_CONFIGURATION, HPET_ON)])
}

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        row("hpet-runs", "the HPET counts").before([store(HPET_CONFIGURATION, HPET_ON)]),
        row(
            "pit-fast",
            "the interval timer interrupts 12,000 times a second",
        )
        .after([output(PIT[1], 0x34), output(PIT[0], 100), output(PIT[0], 0)])
        .after(io_apic_entry(2, 0, 0x30))
        .interrupting()
        .notes(&["are masked: 2 to vector 0x30 (edge)"]),
        row(
            "hpet-legacy",
            "the HPET stands in for the interval timer, and interrupts",
        )
        .after(hpet(0, 0, MILLISECOND, 0))
        .after([store(HPET_CONFIGURATION, HPET_ON | HPET_LEGACY)])
        .after(io_apic_entry(2, 0, 0x30))
        .interrupting()
        .notes(&["are masked: 2 to vector 0x30 (edge)"]),
        row(
            "hpet-level",
            "the HPET asserts a level-triggered input for good",
        )
        .after(hpet(2, LEVEL | input(20), MILLISECOND, 0))
        .after([store(HPET_CONFIGURATION, HPET_ON)])
        .after(io_apic_entry(20, 0, 0x8030))
        .interrupting()
        .notes(&["are masked: 20 to vector 0x30 (level)"]),
        message(
            "hpet-message-30",
            "the HPET sends messages with a free vector",
            0x30,
        )
        .interrupting()
        .notes(&["interrupts 0x30 that no code asked for"])
        .in_each_test(),
        message(
            "hpet-message-ff",
            "the HPET sends messages with the vector of strays",
            0xff,
        )
        .interrupting()
        .notes(&["interrupts 0xff that no code asked for"]),
        message(
            "hpet-message-e5",
            "the HPET sends messages with a vector of the kernel",
            0xe5,
        )
        .interrupting()
        .notes(&["interrupts 0xe5 that no code asked for"]),
    ]
}
