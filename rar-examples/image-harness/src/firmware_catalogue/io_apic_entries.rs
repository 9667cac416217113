//! Entries of the I/O APIC that firmware left live. Input 2 is that of the interval timer, which
//! interrupts; input 23 is idle.

use super::row::{FirmwareRow, row};
use super::script::io_apic_entry;

const TIMER: u8 = 2;
const IDLE: u8 = 23;
const BOOT_CPU: u8 = 0;
const LEVEL: u32 = 1 << 15;
const LOGICAL: u32 = 1 << 11;
/// How an entry interrupts.
const LOWEST_PRIORITY: u32 = 0x100;
const SMI: u32 = 0x200;
const NMI: u32 = 0x400;
const INIT: u32 = 0x500;
const LEGACY: u32 = 0x700;

/// The input of the timer is live with this entry.
fn timer(name: &'static str, about: &'static str, low: u32) -> FirmwareRow {
    row(name, about)
        .before(io_apic_entry(TIMER, BOOT_CPU, low))
        .interrupting()
}

/// An idle input is live with this entry, which a BIOS could not work with.
fn idle(name: &'static str, about: &'static str, low: u32) -> FirmwareRow {
    row(name, about).after(io_apic_entry(IDLE, BOOT_CPU, low))
}

pub(super) fn rows() -> Vec<FirmwareRow> {
    vec![
        timer(
            "level-ff",
            "a level-triggered input with the vector of strays",
            LEVEL | 0xff,
        )
        .notes(&["1 of 24 entries were live, and are masked: 2 to vector 0xff (level)"])
        .with_shim(),
        timer(
            "edge-ff",
            "an edge-triggered input with the vector of strays",
            0xff,
        )
        .notes(&[
            "are masked: 2 to vector 0xff (edge)",
            "interrupts 0xff that no code asked for",
        ])
        .every_test(),
        timer("edge-e5", "a vector of the kernel that expects none", 0xe5)
            .notes(&[
                "are masked: 2 to vector 0xe5 (edge)",
                "interrupts 0xe5 that no code asked for",
            ])
            .with_shim()
            .in_each_test(),
        timer(
            "level-fe",
            "a level-triggered input with the vector of the shim",
            LEVEL | 0xfe,
        )
        .notes(&["are masked: 2 to vector 0xfe (level)"])
        .with_shim(),
        timer(
            "edge-fe",
            "an edge-triggered input with the vector of the shim",
            0xfe,
        )
        .notes(&[
            "are masked: 2 to vector 0xfe (edge)",
            "interrupts 0xfe that no code asked for",
        ])
        .with_shim(),
        timer(
            "level-30",
            "a level-triggered input with a free vector",
            LEVEL | 0x30,
        )
        .notes(&["are masked: 2 to vector 0x30 (level)"])
        .with_shim(),
        timer(
            "level-e1",
            "a level-triggered input with a vector of the kernel",
            LEVEL | 0xe1,
        )
        .notes(&["are masked: 2 to vector 0xe1 (level)"]),
        timer(
            "level-e3",
            "a level-triggered input with another one",
            LEVEL | 0xe3,
        )
        .notes(&["are masked: 2 to vector 0xe3 (level)"]),
        timer(
            "level-20",
            "a vector of the legacy controllers",
            LEVEL | 0x20,
        )
        .notes(&["are masked: 2 to vector 0x20 (level)"]),
        timer("edge-12", "the vector of a machine check", 0x12).notes(&[
            "are masked: 2 to vector 0x12 (edge)",
            "interrupts 0x12 that no code asked for",
        ]),
        timer(
            "edge-11",
            "the vector of an exception with an error code",
            0x11,
        )
        .notes(&[
            "are masked: 2 to vector 0x11 (edge)",
            "interrupts 0x11 that no code asked for",
        ]),
        timer(
            "edge-1b",
            "the vector of an exception that does not exist",
            0x1b,
        )
        .notes(&[
            "are masked: 2 to vector 0x1b (edge)",
            "interrupts 0x1b that no code asked for",
        ]),
        timer(
            "lowest-priority",
            "an input that any CPU may take",
            LEVEL | LOWEST_PRIORITY | 0x30,
        )
        .notes(&["are masked: 2 to vector 0x30 (level)"]),
        row("logical", "an input for a set of CPUs")
            .before(io_apic_entry(TIMER, 0xff, LEVEL | LOGICAL | 0x30))
            .notes(&["are masked: 2 to vector 0x30 (level)"]),
        row("to-cpu-1", "an input of a CPU that does not run yet")
            .before(io_apic_entry(TIMER, 1, 0xe1))
            .notes(&["are masked: 2 to vector 0xe1 (edge)"]),
        row("all-live", "all inputs of the I/O APIC are live")
            .after((0..24).flat_map(|input| {
                io_apic_entry(input, BOOT_CPU, LEVEL | (0x30 + u32::from(input)))
            }))
            .interrupting()
            .notes(&[
                "24 of 24 entries were live, and are masked: 0 to vector 0x30 (level), 1 to vector \
                 0x31 (level), 2 to vector 0x32 (level), 3 to vector 0x33 (level), ...",
            ]),
        idle("input-nmi", "an input that sends NMIs", NMI).notes(&["are masked: 23 as NMI"]),
        idle("input-init", "an input that resets a CPU", INIT).notes(&["are masked: 23 as INIT"]),
        idle("input-smi", "an input that calls firmware", SMI)
            .notes(&["1 of 24 entries call firmware, and are left as they are: 23 as SMI"]),
        idle("input-legacy", "an input of the legacy controllers", LEGACY)
            .notes(&["are masked: 23 as legacy controller"]),
    ]
}
