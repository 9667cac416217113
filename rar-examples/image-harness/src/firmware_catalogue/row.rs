//! A machine, the disorder on it, and what its report must say.

use rar_firmware::Table;
use rar_report::Backend;

use crate::expected_report::{Absent, OtherNotes};
use crate::test_machine::{Load, TestMachine, USUAL, When};

/// Tests that interrupts left behind disturb most, and one of each kind of target.
const TESTS: &[&str] = &[
    "one-page",
    "pages-64",
    "target-halted",
    "target-takes-nmi",
    "flush-from-interrupt",
    "target-silent",
    "storm",
];

/// What is noted of QEMU's machines without any disorder: SeaBIOS sets memory types on CPU 0 only,
/// and on a busy host a test is disturbed.
const USUAL_NOTES: &[&str] = &["have other memory types than CPU 0", "begun again: "];

/// What may be noted where devices interrupt, by when they do.
const INTERRUPT_NOTES: &[&str] = &[
    "have other memory types than CPU 0",
    "begun again: ",
    "firmware left interrupts in service, which are ended: ",
    "firmware left interrupts requested: ",
    "firmware left interrupts more than ",
    "that no code asked for",
];

/// A machine, and how GRUB puts it in disorder.
#[derive(Clone, Debug)]
pub struct FirmwareRow {
    /// The machine, and what its report must say.
    pub machine: TestMachine,
    /// What GRUB executes before it loads the kernel.
    pub(crate) before: Vec<String>,
    /// What GRUB executes after that, right before the kernel starts.
    pub(crate) after: Vec<String>,
    /// The signature of the tables that are taken out; empty if all stay.
    pub(crate) replaces: &'static str,
    /// What comes in their place.
    pub(crate) tables: Vec<Table>,
}

/// Makes a row without disorder: 4 CPUs that all run, and nothing is noted.
pub(crate) fn row(name: &'static str, about: &'static str) -> FirmwareRow {
    let load = Load::Few {
        backends: &[Backend::Software],
        tests: TESTS,
    };
    FirmwareRow {
        machine: TestMachine {
            name,
            about,
            load,
            other_notes: OtherNotes::Only(USUAL_NOTES),
            ..USUAL
        },
        before: Vec::new(),
        after: Vec::new(),
        replaces: "",
        tables: Vec::new(),
    }
}

impl FirmwareRow {
    /// Lets GRUB execute these commands before it loads the kernel.
    pub(crate) fn before(mut self, commands: impl IntoIterator<Item = String>) -> Self {
        self.before.extend(commands);
        self
    }

    /// Lets GRUB execute these commands after it has loaded the kernel: what a BIOS cannot work
    /// with.
    pub(crate) fn after(mut self, commands: impl IntoIterator<Item = String>) -> Self {
        self.after.extend(commands);
        self
    }

    /// Takes out the tables with this signature, and puts these in their place.
    pub(crate) fn tables(
        mut self,
        signature: &'static str,
        tables: impl IntoIterator<Item = Table>,
    ) -> Self {
        self.replaces = signature;
        self.tables.extend(tables);
        self
    }

    /// Changes the machine.
    pub(crate) fn on(mut self, change: impl FnOnce(&mut TestMachine)) -> Self {
        change(&mut self.machine);
        self
    }

    /// Demands these notes, by words in them.
    pub(crate) fn notes(mut self, notes: &'static [&'static str]) -> Self {
        self.machine.notes = notes;
        self
    }

    /// Lets the report note interrupts that came, or not, before the kernel has masked them.
    pub(crate) fn interrupting(mut self) -> Self {
        self.machine.other_notes = OtherNotes::Only(INTERRUPT_NOTES);
        self
    }

    /// Lets every test run, on the shim, too.
    pub(crate) fn every_test(mut self) -> Self {
        self.machine.load = Load::Short;
        self
    }

    /// Lets these tests run on these backends.
    pub(crate) fn runs(
        mut self,
        backends: &'static [Backend],
        tests: &'static [&'static str],
    ) -> Self {
        self.machine.load = Load::Few { backends, tests };
        self
    }

    /// Lets the usual tests run on the shim, too.
    pub(crate) fn with_shim(self) -> Self {
        self.runs(&[Backend::Software, Backend::Vrar], TESTS)
    }

    /// Demands that only the first `cpus` of the machine run, and that the report says this of the
    /// others.
    pub(crate) fn only(mut self, cpus: u32, absent: Absent) -> Self {
        let machine = &mut self.machine;
        machine.idle += machine.cpus - cpus;
        machine.cpus = cpus;
        machine.greatest_id = cpus - 1;
        machine.absent = absent;
        self
    }

    /// Demands that the report names CPUs that do not exist: each run of ids by first and last.
    pub(crate) fn phantoms(mut self, listed: &'static [(u32, u32)]) -> Self {
        self.machine.absent.listed = listed;
        self
    }

    /// Boots it in each `cargo xtask test`.
    pub(crate) fn in_each_test(mut self) -> Self {
        self.machine.when = When::Test;
        self
    }

    #[cfg(test)]
    pub(super) fn leaves_something(&self) -> bool {
        let Self {
            before,
            after,
            replaces,
            machine,
            ..
        } = self;
        let left = !before.is_empty() || !after.is_empty() || !replaces.is_empty();
        left || machine.bus_writes.is_some() || machine.deaf_serial.is_some()
    }
}
