//! Machines that firmware leaves in disorder, or disturbs while tests run: the report must note it.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use rar_harness::catalogue;

use crate::bus_writes::{Begin, BusWrites, Store};
use crate::deaf_peer::Deaf;
use crate::test_machine::{ReportChannel, TestMachine, USUAL};

/// A machine whose input 2 of the I/O APIC, that of the timer, is live.
macro_rules! live_timer {
    ($name:literal, $about:literal, $low:literal, $live:literal $(, $note:literal)?) => {
        TestMachine {
            name: $name,
            about: $about,
            prelude: &[
                "write_dword 0xfec00000 0x15",
                "write_dword 0xfec00010 0x0",
                "write_dword 0xfec00000 0x14",
                concat!("write_dword 0xfec00010 ", $low),
            ],
            notes: &[concat!("are masked: 2 to vector ", $live) $(, $note)?],
            ..USUAL
        }
    };
}

/// The machines.
pub const FIRMWARE: [TestMachine; 15] = [
    TestMachine {
        name: "in-service",
        about: "three interrupts in service",
        // The BIOS, in which GRUB sleeps, takes each and never ends it.
        prelude: &[
            "write_dword 0xfee00310 0",
            "write_dword 0xfee00300 0x4051",
            "sleep 1",
            "write_dword 0xfee00310 0",
            "write_dword 0xfee00300 0x40e5",
            "sleep 1",
            "write_dword 0xfee00310 0",
            "write_dword 0xfee00300 0x40f0",
            "sleep 1",
        ],
        notes: &["left interrupts in service, which are ended: 0x51, 0xe5, 0xf0"],
        ..USUAL
    },
    live_timer!(
        "level-ff",
        "a live input, level, vector 0xff",
        "0x80ff",
        "0xff (level)"
    ),
    live_timer!(
        "edge-ff",
        "a live input, edge, vector 0xff",
        "0x00ff",
        "0xff (edge)",
        "interrupts 0xff that no code asked for"
    ),
    live_timer!(
        "edge-e5",
        "a live input, edge, vector 0xe5",
        "0x00e5",
        "0xe5 (edge)",
        "interrupts 0xe5 that no code asked for"
    ),
    live_timer!(
        "level-fe",
        "a live input, level, the shim's vector",
        "0x80fe",
        "0xfe (level)"
    ),
    live_timer!(
        "level-30",
        "a live input, level, a free vector",
        "0x8030",
        "0x30 (level)"
    ),
    live_timer!(
        "edge-12",
        "a live input, that of a machine check",
        "0x0012",
        "0x12 (edge)",
        "interrupts 0x12 that no code asked for"
    ),
    live_timer!(
        "edge-11",
        "a live input, that of an exception",
        "0x0011",
        "0x11 (edge)",
        "interrupts 0x11 that no code asked for"
    ),
    TestMachine {
        name: "pat-zero",
        about: "another PAT on the boot CPU",
        prelude: &["wrmsr 0x277 0"],
        notes: &["have other memory types than CPU 0", "PAT 0x0"],
        ..USUAL
    },
    TestMachine {
        name: "performance-live",
        about: "an entry of the local vector table, a blocked priority, and no spurious vector",
        prelude: &[
            "write_dword 0xfee00340 0xe5",
            "write_dword 0xfee00330 0xff",
            "write_dword 0xfee00080 0xff",
            "write_dword 0xfee000f0 0x0",
        ],
        ..USUAL
    },
    TestMachine {
        name: "hpet-runs",
        about: "an HPET that counts",
        prelude: &["write_dword 0xfed00010 1"],
        ..USUAL
    },
    TestMachine {
        name: "serial-deaf",
        about: "a serial port whose peer never reads",
        deaf_serial: Some(Deaf::Later),
        told: ReportChannel::Screen,
        notes: &["serial: given up, the peer of the port did not read"],
        ..USUAL
    },
    TestMachine {
        name: "serial-full",
        about: "a serial port that is full before the kernel starts",
        deaf_serial: Some(Deaf::Start),
        told: ReportChannel::Screen,
        notes: &["serial: given up, the peer of the port did not read"],
        ..USUAL
    },
    TestMachine {
        name: "nmi-storm",
        about: "an NMI to each CPU each second",
        bus_writes: Some(BusWrites {
            stores: &[Store::nmi(0), Store::nmi(1), Store::nmi(2), Store::nmi(3)],
            begin: Begin::FirstRecord,
            every: Duration::from_secs(1),
        }),
        notes: &["NMIs that no code asked for"],
        ..USUAL
    },
    TestMachine {
        name: "level-storm",
        about: "hundreds of level-triggered interrupts in a second",
        bus_writes: Some(BusWrites {
            stores: &[
                Store::level(0, 0x30),
                Store::level(1, 0x30),
                Store::level(2, 0x30),
                Store::level(3, 0x30),
            ],
            begin: Begin::FirstRecord,
            every: Duration::from_millis(10),
        }),
        // Each interrupt leaves the guest, and so empties the TLB of QEMU.
        cannot: &["target-in-user-mode"],
        notes: &["interrupts 0x30 that no code asked for"],
        ..USUAL
    },
];

/// Returns the names that `--firmware` takes.
pub fn names() -> PossibleValuesParser {
    catalogue::names(FIRMWARE.iter().map(|odd| odd.name))
}

/// Returns the machines of these names, in the catalogue's order.
pub fn chosen(names: &[String]) -> Vec<TestMachine> {
    catalogue::chosen(&FIRMWARE, |odd| odd.name, names)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rar_harness::catalogue::ALL;

    use super::*;

    #[test]
    fn names_are_unique_and_choose() {
        let names: BTreeSet<_> = FIRMWARE.iter().map(|odd| odd.name).collect();
        assert_eq!(names.len(), FIRMWARE.len());
        assert_eq!(chosen(&["edge-12".to_owned()])[0].name, "edge-12");
        assert_eq!(chosen(&[ALL.to_owned()]).len(), FIRMWARE.len());
    }

    #[test]
    fn each_is_disturbed_before_the_kernel_or_beside_it() {
        let odd = |odd: &TestMachine| {
            !odd.prelude.is_empty() || odd.bus_writes.is_some() || odd.deaf_serial.is_some()
        };
        assert!(FIRMWARE.iter().all(odd));
    }
}
