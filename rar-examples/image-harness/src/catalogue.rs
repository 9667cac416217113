//! The machines that the image is booted on.

use clap::builder::PossibleValuesParser;
use rar_harness::catalogue;
use rar_harness::text::table;

use crate::machine::Boot;
use crate::screens;
use crate::test_machine::{Load, ReportChannel, TestMachine, USUAL, When};

pub use rar_harness::catalogue::ALL;

/// What a full run may take on a busy host.
const LONG: u64 = 1200;

/// The machines.
pub const CATALOGUE: [TestMachine; 39] = [
    TestMachine {
        name: "bios-cd",
        about: "BIOS, CD",
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "uefi-cd",
        about: "UEFI, CD",
        boot: Boot::Uefi,
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "uefi-usb",
        about: "UEFI, USB stick, 2 CPUs",
        boot: Boot::Usb,
        cpus: 2,
        greatest_id: 1,
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "pxe",
        about: "BIOS, the network",
        boot: Boot::Pxe,
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "uefi-pxe",
        about: "UEFI, the network, 2 CPUs",
        boot: Boot::UefiPxe,
        cpus: 2,
        greatest_id: 1,
        ..USUAL
    },
    TestMachine {
        name: "grub-once",
        about: "BIOS, one entry of an old system's GRUB, once",
        boot: Boot::Disk,
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "uefi-grub-once",
        about: "UEFI, one entry of an old system's GRUB, once",
        boot: Boot::UefiDisk,
        cpus: 2,
        greatest_id: 1,
        ..USUAL
    },
    TestMachine {
        name: "grub-stuck",
        about: "a GRUB that cannot write on its disk",
        boot: Boot::LockedDisk,
        told: ReportChannel::Kept(
            "rar-validate is not started: GRUB cannot empty next_entry in its file grubenv",
        ),
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "least",
        about: "the least of all: pc, qemu64, one CPU, 64 MiB",
        cpus: 1,
        greatest_id: 0,
        memory: 64,
        machine: "pc",
        cpu: "qemu64",
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "pc",
        about: "an old chipset without a reset register",
        machine: "pc",
        ..USUAL
    },
    TestMachine {
        name: "qemu64",
        about: "a CPU with few features",
        cpu: "qemu64",
        cannot: &["unit-mwait"],
        ..USUAL
    },
    TestMachine {
        name: "64-mib",
        about: "64 MiB of memory",
        memory: 64,
        ..USUAL
    },
    TestMachine {
        name: "one-cpu",
        about: "one CPU, UEFI",
        boot: Boot::Uefi,
        cpus: 1,
        greatest_id: 0,
        ..USUAL
    },
    TestMachine {
        name: "no-svm",
        about: "a processor that cannot carry the shim",
        told: ReportChannel::Both,
        cpu: "max,-svm",
        no_shim: Some("the CPU has no SVM"),
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "intel",
        about: "a processor of Intel's: no SVM",
        machine: "pc",
        cpu: "core2duo",
        no_shim: Some("the CPU has no SVM"),
        ..USUAL
    },
    TestMachine {
        name: "no-apic",
        about: "a processor without a local APIC",
        cpus: 1,
        greatest_id: 0,
        cpu: "max,-apic",
        no_shim: Some("the local APIC is disabled"),
        cannot: &["flush-from-interrupt"],
        notes: &["no local APIC"],
        says: &["no local APIC: a single CPU, without a watchdog"],
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "no-pge",
        about: "no global pages, no no-execute pages",
        cpu: "max,-pge,-nx",
        cpus: 2,
        greatest_id: 1,
        ..USUAL
    },
    TestMachine {
        name: "isa",
        about: "no ACPI, no PCI, one CPU",
        notes: &["the boot loader did not name the ACPI tables"],
        machine: "isapc",
        cpu: "qemu64",
        cpus: 1,
        greatest_id: 0,
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "no-long-mode",
        about: "a processor of 32 bits: told, and nothing else",
        cpu: "qemu32",
        told: ReportChannel::Refused("this CPU has no 64-bit mode"),
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "text-screen",
        about: "no ACPI, no PCI, and a screen for text only",
        machine: "isapc",
        cpu: "qemu64",
        cpus: 1,
        greatest_id: 0,
        vga: "none",
        more: &["-device", "isa-cirrus-vga"],
        says: &["this screen has no pixels for QR codes: the report is on the serial port only"],
        ..USUAL
    },
    TestMachine {
        name: "32-mib",
        about: "32 MiB of memory",
        cpus: 2,
        greatest_id: 1,
        memory: 32,
        ..USUAL
    },
    TestMachine {
        name: "6-gib",
        about: "memory above 4 GiB, UEFI",
        boot: Boot::Uefi,
        cpus: 2,
        greatest_id: 1,
        memory: 6144,
        ..USUAL
    },
    TestMachine {
        name: "no-keyboard",
        about: "no keyboard controller, no HPET",
        machine: "q35,i8042=off,hpet=off",
        cpus: 2,
        greatest_id: 1,
        ..USUAL
    },
    TestMachine {
        name: "xapic",
        about: "the APIC by its page only, before the shim",
        cpu: "max,-x2apic",
        ..USUAL
    },
    TestMachine {
        name: "sparse-ids",
        about: "APIC ids 0, 1, 97 and 254",
        greatest_id: 254,
        more: &[
            "-smp",
            "cpus=2,maxcpus=255,sockets=255,cores=1,threads=1",
            "-device",
            "max-x86_64-cpu,socket-id=97,core-id=0,thread-id=0",
            "-device",
            "max-x86_64-cpu,socket-id=254,core-id=0,thread-id=0",
        ],
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "no-vga",
        about: "no screen",
        vga: "none",
        says: &["there is no screen for QR codes: the report is on the serial port only"],
        ..USUAL
    },
    TestMachine {
        name: "no-serial",
        about: "no serial port: the report is read from the screen",
        told: ReportChannel::Screen,
        when: When::Test,
        ..USUAL
    },
    TestMachine {
        name: "blind",
        about: "neither screen nor serial port",
        vga: "none",
        told: ReportChannel::ExitCode,
        when: When::Test,
        ..USUAL
    },
    screens::RGB_800X600X32,
    screens::RGB_800X600X16,
    screens::PALETTE_800X600,
    screens::SMALL,
    screens::LARGE,
    TestMachine {
        name: "bios-cd-full",
        about: "BIOS, CD, the full run",
        told: ReportChannel::Both,
        load: Load::Full,
        limit: LONG,
        ..USUAL
    },
    TestMachine {
        name: "uefi-cd-full",
        about: "UEFI, CD, the full run",
        told: ReportChannel::Both,
        boot: Boot::Uefi,
        load: Load::Full,
        limit: LONG,
        ..USUAL
    },
    TestMachine {
        name: "uefi-usb-full",
        about: "UEFI, USB stick, the full run",
        told: ReportChannel::Both,
        boot: Boot::Usb,
        load: Load::Full,
        limit: LONG,
        ..USUAL
    },
    TestMachine {
        name: "bios-cd-16",
        about: "BIOS, CD, the full run on 16 CPUs",
        told: ReportChannel::Both,
        cpus: 16,
        greatest_id: 15,
        load: Load::Full,
        limit: LONG,
        ..USUAL
    },
    TestMachine {
        name: "uefi-cd-16",
        about: "UEFI, CD, the full run on 16 CPUs",
        told: ReportChannel::Both,
        boot: Boot::Uefi,
        cpus: 16,
        greatest_id: 15,
        load: Load::Full,
        limit: LONG,
        ..USUAL
    },
    TestMachine {
        name: "uefi-usb-16",
        about: "UEFI, USB stick, the full run on 16 CPUs",
        told: ReportChannel::Both,
        boot: Boot::Usb,
        cpus: 16,
        greatest_id: 15,
        load: Load::Full,
        limit: LONG,
        ..USUAL
    },
];

/// Returns what reads machines' names on the command line.
pub fn names() -> PossibleValuesParser {
    catalogue::names(CATALOGUE.iter().map(|odd| odd.name))
}

/// Returns the machines as a table for a terminal.
#[must_use]
pub fn list() -> String {
    let mut list = table(&["name", "machine", "booted in"]);
    for odd in CATALOGUE {
        list.add_row([odd.name, odd.about, odd.when.command()]);
    }
    list.to_string()
}

/// Returns the machines of these names, in the catalogue's order.
pub fn chosen(names: &[String]) -> Vec<TestMachine> {
    catalogue::chosen(&CATALOGUE, |odd| odd.name, names)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_choose() {
        let names: BTreeSet<_> = CATALOGUE.iter().map(|odd| odd.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(!names.contains(ALL) && !names.contains(""));
        assert_eq!(chosen(&["no-svm".to_owned()])[0].name, "no-svm");
        assert_eq!(chosen(&[ALL.to_owned()]).len(), CATALOGUE.len());
        assert!(chosen(&[]).is_empty());
    }

    #[test]
    fn the_page_lists_every_machine() {
        let page = include_str!("../../../docs/validating.md");
        let rows: Vec<_> = page
            .lines()
            .skip_while(|line| !line.starts_with("| name | machine |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        assert_eq!(rows.len(), CATALOGUE.len());
        for (row, odd) in rows.iter().zip(CATALOGUE) {
            let when = odd.when.command();
            let begin = format!("| `{}` | {} | `{when}` | ", odd.name, odd.about);
            assert!(row.starts_with(&begin), "{row}\n{begin}");
        }
    }

    #[test]
    fn the_pages_count_the_machines() {
        let all = CATALOGUE.len();
        let tested = CATALOGUE.iter().filter(|odd| odd.when == When::Test);
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&format!("`rar-validate` on {all} machines")));
        let testing = include_str!("../../../docs/testing.md");
        for words in [
            format!("reports of {all} machines"),
            format!("reports of {} machines, and", tested.count()),
        ] {
            assert!(testing.contains(&words), "{words}");
        }
    }

    #[test]
    fn the_machines_of_the_promise_are_there() {
        let full = |boot, cpus| {
            CATALOGUE
                .iter()
                .any(|odd| odd.boot == boot && odd.cpus == cpus && odd.load == Load::Full)
        };
        for boot in [Boot::Bios, Boot::Uefi, Boot::Usb] {
            assert!(full(boot, 4) && full(boot, 16), "{boot:?}");
        }
    }
}
