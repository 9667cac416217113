//! A machine that the image is booted on: what is peculiar about it, and what it must show.

use rar_harness::modes::Thread;
use rar_harness::run::{Run, Tests};
use rar_report::{Backend, Firmware};

use crate::bus_writes::BusWrites;
use crate::deaf_peer::Deaf;
use crate::expected_report::{Absent, ExpectedReport, OtherNotes};
use crate::grub::SCREEN;
use crate::machine::{self, Boot, MachineArgs};

/// A machine, and one boot on it.
#[derive(Clone, Copy, Debug)]
pub struct TestMachine {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it stands for.
    pub about: &'static str,
    /// How the image is booted.
    pub boot: Boot,
    /// CPUs that run.
    pub(crate) cpus: u32,
    /// CPUs that the machine has beside them: no table lists them, or they cannot start.
    pub(crate) idle: u32,
    /// CPUs that do not run, as far as the report must know of them.
    pub(crate) absent: Absent,
    pub(crate) greatest_id: u32,
    /// MiB.
    pub(crate) memory: u32,
    /// MiB of it that the boot loader leaves out of its map.
    pub(crate) cut: u32,
    pub(crate) machine: &'static str,
    pub(crate) cpu: &'static str,
    pub(crate) vga: &'static str,
    /// Other arguments of QEMU.
    pub(crate) more: &'static [&'static str],
    /// Whether the peer of the serial port never reads: the findings come by another channel.
    pub(crate) deaf_serial: Option<Deaf>,
    pub(crate) load: Load,
    /// Words of the reason why the shim cannot be, if it cannot.
    pub(crate) no_shim: Option<&'static str>,
    /// Tests that the machine cannot run.
    pub(crate) cannot: &'static [&'static str],
    /// What GRUB executes before it loads the kernel.
    pub(crate) prelude: &'static [&'static str],
    /// What is stored into the machine from outside while it runs.
    pub(crate) bus_writes: Option<BusWrites>,
    /// The sizes of a screen that GRUB is asked for, best first.
    pub(crate) modes: &'static str,
    /// What the report notes beside the tests.
    pub(crate) notes: &'static [&'static str],
    pub(crate) other_notes: OtherNotes,
    /// Lines that it says beside that.
    pub says: &'static [&'static str],
    /// Where the findings can be read.
    pub told: ReportChannel,
    /// When it is booted.
    pub when: When,
    /// Seconds until it is given up.
    pub(crate) limit: u64,
}

/// How much runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Every test but the slow ones, with small storms and one initiator.
    Short,
    /// Every test, as the image does by itself.
    Full,
    /// Some tests, as short, and no measurement.
    Few {
        backends: &'static [Backend],
        tests: &'static [&'static str],
    },
}

/// Where the findings can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportChannel {
    /// The serial line: records and report.
    Serial,
    /// A camera before the screen, and who turns the pages: the report.
    Screen,
    /// The serial line, and two readers of codes who photograph the screen.
    Both,
    /// There is neither: QEMU's exit device gets the verdict.
    ExitCode,
    /// The serial line, and no more than this line: nothing can run.
    Refused(&'static str),
    /// The serial line: this line, and then the old system's. The image is not started.
    Kept(&'static str),
}

/// When a machine is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In each `cargo xtask test`.
    Test,
    /// In `cargo xtask ci --full`.
    Full,
}

impl When {
    /// Returns the command, without `cargo xtask`.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Full => "ci --full",
        }
    }
}

/// Flushes in a storm and initiators of a short load.
const SHORT: (u32, u32) = (300, 1);
/// The image's own defaults: flushes of each of 8 CPUs; more CPUs share the same number.
const FULL: (u32, u32) = (20_000, 8);
/// Flushes of each kind that a short load times: enough to show that they are, and how they are
/// told.
const SHORT_SAMPLES: u32 = 10;
/// The image's own default.
const FULL_SAMPLES: u32 = 2_000;

/// What is not said otherwise.
pub(crate) const USUAL: TestMachine = TestMachine {
    name: "",
    about: "",
    boot: Boot::Bios,
    cpus: 4,
    idle: 0,
    absent: Absent::NONE,
    greatest_id: 3,
    memory: 512,
    cut: 0,
    machine: "q35",
    cpu: "max",
    vga: "std",
    more: &[],
    deaf_serial: None,
    load: Load::Short,
    no_shim: None,
    cannot: &[],
    prelude: &[],
    bus_writes: None,
    modes: SCREEN,
    notes: &[],
    other_notes: OtherNotes::Allowed,
    says: &[],
    told: ReportChannel::Serial,
    when: When::Full,
    limit: 240,
};

impl TestMachine {
    /// Returns the kernel's options.
    pub fn options(&self) -> String {
        let load = match self.load {
            Load::Short => {
                let (flushes, initiators) = SHORT;
                format!(
                    "run=quick list=brief flushes={flushes} initiators={initiators} \
                     measure={SHORT_SAMPLES}"
                )
            }
            Load::Full => "run=full".to_owned(),
            Load::Few { backends, tests } => {
                let ((flushes, initiators), tests) = (SHORT, tests.join(","));
                let backends = backends.iter().map(|backend| backend.name());
                let backends = backends.collect::<Vec<_>>().join(",");
                format!(
                    "run=quick backends={backends} test={tests} flushes={flushes} \
                     initiators={initiators}"
                )
            }
        };
        let end = match self.told {
            ReportChannel::Serial | ReportChannel::Refused(_) | ReportChannel::Kept(_) => {
                "page-seconds=0 end=reboot"
            }
            // A page is turned by a key once it was read; the first has no code.
            ReportChannel::Screen => "page-seconds=3 end=reboot",
            // The photographer turns the pages, except the first, which has no code.
            ReportChannel::Both => "page-seconds=6 end=reboot",
            ReportChannel::ExitCode => "page-seconds=0 end=debug-exit",
        };
        format!("{load} {end}")
    }

    /// Returns the machine for QEMU.
    pub fn machine(&self) -> MachineArgs {
        let unheard = matches!(self.told, ReportChannel::Screen | ReportChannel::ExitCode);
        MachineArgs {
            memory: self.memory,
            machine: self.machine.to_owned(),
            cpu: self.cpu.to_owned(),
            vga: self.vga.to_owned(),
            no_serial: unheard && self.deaf_serial.is_none(),
            deaf_serial: self.deaf_serial,
            more: self.more.iter().map(|word| (*word).to_owned()).collect(),
            bus_writes: self.bus_writes,
            read_codes: matches!(self.told, ReportChannel::Screen | ReportChannel::Both),
            ..MachineArgs::usual(self.cpus + self.idle, Thread::Single, self.limit)
        }
    }

    /// Returns what the report has to say.
    pub fn wanted(&self) -> ExpectedReport<'static> {
        let (flushes, initiators) = match self.load {
            Load::Short | Load::Few { .. } => SHORT,
            Load::Full => {
                let (flushes, cpus) = FULL;
                (flushes * cpus / self.cpus.max(cpus), cpus)
            }
        };
        let (tests, measure) = match self.load {
            Load::Short => (Tests::Brief, Some(SHORT_SAMPLES)),
            Load::Full => (Tests::Functional, Some(FULL_SAMPLES)),
            Load::Few { tests, .. } => {
                let names = tests.iter().map(|name| (*name).to_owned());
                (Tests::Named(names.collect()), None)
            }
        };
        let run = |backend| {
            let run = Run {
                tests: tests.clone(),
                measure,
                ..Run::functional(backend, self.cpus, flushes, initiators)
            };
            let mut expected = run.expectation();
            expected.required.retain(|test| !self.cannot.contains(test));
            expected.missing = self.absent.ids().collect();
            expected
        };
        let asked = match self.load {
            Load::Few { backends, .. } => backends,
            // In the order in which they run.
            Load::Short | Load::Full => &[Backend::Hardware, Backend::Software, Backend::Vrar],
        };
        let (mut ran, mut refused) = (Vec::new(), Vec::new());
        for &backend in asked {
            match (backend, self.no_shim) {
                // QEMU's processors have no RAR.
                (Backend::Hardware, _) => refused.push((backend, "no RAR: CPUID leaf 0x7")),
                (Backend::Vrar, Some(words)) => refused.push((backend, words)),
                _ => ran.push(run(backend)),
            }
        }
        ExpectedReport {
            cpus: self.cpus,
            absent: self.absent,
            greatest_id: self.greatest_id,
            memory: self.memory - self.cut,
            firmware: if machine::by_uefi(self.boot) {
                Firmware::Uefi
            } else {
                Firmware::Bios
            },
            ran,
            refused,
            notes: self.notes,
            is_interrupted: self.bus_writes.is_some(),
            other_notes: self.other_notes,
        }
    }
}
