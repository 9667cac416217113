//! The machines that the image is booted on: what is odd about each, and what it has to show there.

use clap::builder::PossibleValuesParser;
use rar_harness::modes::Thread;
use rar_harness::run::Run;
use rar_report::{Backend, Firmware};

use crate::expected_report::ExpectedReport;
use crate::machine::{self, Boot, MachineArgs};

/// Every machine, by this word on the command line.
pub const ALL: &str = "all";

/// A machine, and one boot on it.
#[derive(Clone, Copy, Debug)]
pub struct TestMachine {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it stands for.
    pub about: &'static str,
    /// How the image is booted.
    pub boot: Boot,
    cpus: u32,
    greatest_id: u32,
    memory: u32,
    machine: &'static str,
    cpu: &'static str,
    vga: &'static str,
    /// Other arguments of QEMU.
    more: &'static [&'static str],
    load: Load,
    /// Words of the reason why the shim cannot be, if it cannot.
    no_shim: Option<&'static str>,
    /// Tests that the machine cannot run.
    cannot: &'static [&'static str],
    /// What the report notes beside the tests.
    notes: &'static [&'static str],
    /// Lines that it says beside that.
    pub says: &'static [&'static str],
    /// Who hears what is found.
    pub told: ReportChannel,
    /// When it is booted.
    pub when: When,
    /// Seconds until it is given up.
    limit: u64,
}

/// How much runs: every test in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// With small storms and one initiator.
    Short,
    /// As the image does by itself.
    Full,
}

/// Who hears what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportChannel {
    /// The serial line: records and report.
    Serial,
    /// A camera before the screen, and who turns the pages: the report.
    Screen,
    /// The serial line, and two readers of codes who photograph the screen.
    Both,
    /// Nobody: there is neither. QEMU's exit device hears the verdict.
    ExitCode,
    /// The serial line, and no more than this line: nothing can run.
    Refused(&'static str),
}

/// When a machine is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In each `cargo xtask test`.
    Test,
    /// In `cargo xtask ci --full`.
    Full,
}

/// Flushes in a storm and initiators of a short load.
const SHORT: (u32, u32) = (300, 1);
/// The image's own defaults: so many flushes of each of 8 CPUs, and as many together of more.
const FULL: (u32, u32) = (20_000, 8);
/// Flushes of each kind that a short load times: enough to show that they are, and how they are
/// told.
const SHORT_SAMPLES: u32 = 10;
/// The image's own default.
const FULL_SAMPLES: u32 = 2_000;

/// What is not said otherwise.
const USUAL: TestMachine = TestMachine {
    name: "",
    about: "",
    boot: Boot::Bios,
    cpus: 4,
    greatest_id: 3,
    memory: 512,
    machine: "q35",
    cpu: "max",
    vga: "std",
    more: &[],
    load: Load::Short,
    no_shim: None,
    cannot: &[],
    notes: &[],
    says: &[],
    told: ReportChannel::Serial,
    when: When::Full,
    limit: 240,
};

/// What a full run may take on a busy host.
const LONG: u64 = 1200;

/// The machines.
pub const CATALOGUE: [TestMachine; 29] = [
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
    let names = CATALOGUE.iter().map(|odd| odd.name);
    PossibleValuesParser::new(names.chain([ALL]))
}

/// Returns the machines of these names, in the catalogue's order.
pub fn chosen(names: &[String]) -> Vec<TestMachine> {
    let has = |word: &str| names.iter().any(|name| name == word);
    let mut chosen = CATALOGUE.to_vec();
    chosen.retain(|odd| has(odd.name) || has(ALL));
    chosen
}

impl TestMachine {
    /// Returns the kernel's options.
    pub fn options(&self) -> String {
        let load = match self.load {
            Load::Short => {
                let (flushes, initiators) = SHORT;
                format!(
                    "run=quick flushes={flushes} initiators={initiators} measure={SHORT_SAMPLES}"
                )
            }
            Load::Full => "run=full".to_owned(),
        };
        let end = match self.told {
            ReportChannel::Serial | ReportChannel::Refused(_) => "page-seconds=0 end=reboot",
            // A page is turned by a key once it was read; the first has no code.
            ReportChannel::Screen => "page-seconds=3 end=reboot",
            // The photographer turns the pages, but for the first, which has no code.
            ReportChannel::Both => "page-seconds=2 end=reboot",
            ReportChannel::ExitCode => "page-seconds=0 end=debug-exit",
        };
        format!("{load} {end}")
    }

    /// Returns the machine for QEMU.
    pub fn machine(&self) -> MachineArgs {
        MachineArgs {
            memory: self.memory,
            machine: self.machine.to_owned(),
            cpu: self.cpu.to_owned(),
            vga: self.vga.to_owned(),
            no_serial: matches!(self.told, ReportChannel::Screen | ReportChannel::ExitCode),
            more: self.more.iter().map(|word| (*word).to_owned()).collect(),
            read_codes: matches!(self.told, ReportChannel::Screen | ReportChannel::Both),
            ..MachineArgs::usual(self.cpus, Thread::Single, self.limit)
        }
    }

    /// Returns what the report has to say.
    pub fn wanted(&self) -> ExpectedReport<'static> {
        let ((flushes, initiators), samples) = match self.load {
            Load::Short => (SHORT, SHORT_SAMPLES),
            Load::Full => {
                let (flushes, cpus) = FULL;
                let share = flushes * cpus / self.cpus.max(cpus);
                ((share, cpus), FULL_SAMPLES)
            }
        };
        let run = |backend| {
            let run = Run {
                measure: Some(samples),
                ..Run::functional(backend, self.cpus, flushes, initiators)
            };
            let mut expected = run.expectation();
            expected.required.retain(|test| !self.cannot.contains(test));
            expected
        };
        let mut ran = vec![run(Backend::Software)];
        // QEMU's processors have no RAR.
        let mut refused = vec![(Backend::Hardware, "no RAR: CPUID leaf 0x7")];
        match self.no_shim {
            None => ran.push(run(Backend::Vrar)),
            Some(words) => refused.push((Backend::Vrar, words)),
        }
        ExpectedReport {
            cpus: self.cpus,
            greatest_id: self.greatest_id,
            memory: self.memory,
            firmware: if machine::by_uefi(self.boot) {
                Firmware::Uefi
            } else {
                Firmware::Bios
            },
            ran,
            refused,
            notes: self.notes,
        }
    }
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
            let when = match odd.when {
                When::Test => "`test`",
                When::Full => "`ci --full`",
            };
            let begin = format!("| `{}` | {} | {when} | ", odd.name, odd.about);
            assert!(row.starts_with(&begin), "{row}\n{begin}");
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
