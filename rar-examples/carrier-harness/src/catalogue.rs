//! The carried runs: what is carried, on which machine, and what it must show.

use clap::builder::PossibleValuesParser;
use rar_harness::catalogue;
use rar_harness::modes::Apic;
use rar_harness::parallel::Cores;

use crate::machine::Board;

pub use rar_harness::catalogue::ALL;

/// A carried run.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it stands for.
    pub about: &'static str,
    pub(crate) guest: Guest,
    pub(crate) cpus: u32,
    pub(crate) apic: Apic,
    pub(crate) board: Board,
    /// What is broken in every unit.
    pub(crate) defect: Option<&'static str>,
    /// When it is run.
    pub when: When,
    /// Seconds until it is given up.
    pub(crate) limit: u64,
}

/// What is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// The test kernel of this repository, as if it were foreign: the tests of the suite on the
    /// carrier's units.
    Suite(Protocol, Volume),
    /// Debian's kernel, and beside it the same kernel without the shim.
    Stock,
    /// Debian's kernel with the module of this repository.
    Module,
    /// Debian's kernel with the program that asks whether a machine has RAR.
    Probe,
    /// A memory test, booted by the BIOS.
    MemoryTest,
}

impl Guest {
    /// Returns how many of the host's cores a run needs. A machine with foreign timers needs one
    /// that is always free: Linux compares clocks when it starts.
    pub(crate) const fn cores(self) -> Cores {
        match self {
            Self::Suite(..) => Cores::One,
            Self::Stock | Self::Module | Self::Probe | Self::MemoryTest => Cores::All,
        }
    }
}

/// How a kernel that is an ELF file is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// As Xen's guests are.
    Pvh,
    /// As boot loaders do it.
    Multiboot2,
}

impl Protocol {
    /// Returns the word for the carrier.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pvh => "protocol=pvh",
            Self::Multiboot2 => "protocol=multiboot2",
        }
    }
}

/// How much of the suite runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// A few tests.
    Few,
    /// Every test.
    All,
}

/// When a run is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In each `cargo xtask test`.
    Test,
    /// In `cargo xtask ci --full`.
    Full,
}

/// What is not said otherwise.
const USUAL: Case = Case {
    name: "",
    about: "",
    guest: Guest::Stock,
    cpus: 2,
    apic: Apic::X2apic,
    board: Board::Q35,
    defect: None,
    when: When::Full,
    limit: 300,
};

/// The runs.
pub const CATALOGUE: [Case; 23] = [
    Case {
        name: "suite-pvh",
        about: "our test kernel, started by PVH: a few tests",
        guest: Guest::Suite(Protocol::Pvh, Volume::Few),
        when: When::Test,
        ..USUAL
    },
    Case {
        name: "suite-multiboot2",
        about: "our test kernel, started by multiboot2: a few tests",
        guest: Guest::Suite(Protocol::Multiboot2, Volume::Few),
        apic: Apic::Xapic,
        when: When::Test,
        ..USUAL
    },
    Case {
        name: "module-2",
        about: "Debian's kernel with rar_check",
        guest: Guest::Module,
        when: When::Test,
        ..USUAL
    },
    Case {
        name: "suite-pvh-all",
        about: "our test kernel, started by PVH: every test",
        guest: Guest::Suite(Protocol::Pvh, Volume::All),
        ..USUAL
    },
    Case {
        name: "suite-multiboot2-all",
        about: "our test kernel, started by multiboot2: every test",
        guest: Guest::Suite(Protocol::Multiboot2, Volume::All),
        ..USUAL
    },
    Case {
        name: "suite-xapic-all",
        about: "our test kernel with the APIC by its page: every test",
        guest: Guest::Suite(Protocol::Pvh, Volume::All),
        apic: Apic::Xapic,
        ..USUAL
    },
    Case {
        name: "stock-1",
        about: "Debian's kernel on one CPU",
        cpus: 1,
        ..USUAL
    },
    Case {
        name: "stock-1-xapic",
        about: "Debian's kernel on one CPU",
        cpus: 1,
        apic: Apic::Xapic,
        ..USUAL
    },
    Case {
        name: "stock-2",
        about: "Debian's kernel",
        ..USUAL
    },
    Case {
        name: "stock-2-xapic",
        about: "Debian's kernel",
        apic: Apic::Xapic,
        ..USUAL
    },
    Case {
        name: "stock-2-pc",
        about: "Debian's kernel on an old chipset",
        apic: Apic::Xapic,
        board: Board::Pc,
        ..USUAL
    },
    Case {
        name: "stock-4",
        about: "Debian's kernel",
        cpus: 4,
        ..USUAL
    },
    Case {
        name: "stock-4-xapic",
        about: "Debian's kernel",
        cpus: 4,
        apic: Apic::Xapic,
        ..USUAL
    },
    Case {
        name: "stock-8",
        about: "Debian's kernel",
        cpus: 8,
        ..USUAL
    },
    Case {
        name: "stock-8-xapic",
        about: "Debian's kernel",
        cpus: 8,
        apic: Apic::Xapic,
        ..USUAL
    },
    Case {
        name: "module-2-xapic",
        about: "Debian's kernel with rar_check",
        guest: Guest::Module,
        apic: Apic::Xapic,
        ..USUAL
    },
    Case {
        name: "module-4",
        about: "Debian's kernel with rar_check",
        guest: Guest::Module,
        cpus: 4,
        ..USUAL
    },
    Case {
        name: "signal-lost",
        about: "rar_check on units that lose signals",
        guest: Guest::Module,
        defect: Some("signal-lost"),
        ..USUAL
    },
    Case {
        name: "success-without-flush",
        about: "rar_check on units that flush nothing",
        guest: Guest::Module,
        defect: Some("success-without-flush"),
        ..USUAL
    },
    Case {
        name: "failure-always",
        about: "rar_check on units that refuse all",
        guest: Guest::Module,
        defect: Some("failure-always"),
        ..USUAL
    },
    Case {
        name: "ignore-if-unheeded",
        about: "rar_check on units that wait for interrupts",
        guest: Guest::Module,
        defect: Some("ignore-if-unheeded"),
        ..USUAL
    },
    Case {
        name: "probe",
        about: "Debian's kernel with rar-probe, which says yes",
        guest: Guest::Probe,
        ..USUAL
    },
    Case {
        name: "memory-test",
        about: "memtest86+, booted by the BIOS, for a minute",
        guest: Guest::MemoryTest,
        apic: Apic::Xapic,
        // It does not end.
        limit: 100,
        ..USUAL
    },
];

/// Returns what reads runs' names on the command line.
pub fn names() -> PossibleValuesParser {
    catalogue::names(CATALOGUE.iter().map(|case| case.name))
}

/// Returns the runs of these names, in the catalogue's order.
#[must_use]
pub fn chosen(names: &[String]) -> Vec<Case> {
    catalogue::chosen(&CATALOGUE, |case| case.name, names)
}

/// Returns the runs of `cargo xtask test`.
#[must_use]
pub fn of_each_test() -> Vec<Case> {
    let mut chosen = CATALOGUE.to_vec();
    chosen.retain(|case| case.when == When::Test);
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rar_model::Defect;

    use super::*;

    #[test]
    fn names_are_unique_and_choose() {
        let names: BTreeSet<_> = CATALOGUE.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(!names.contains(ALL) && !names.contains(""));
        assert_eq!(chosen(&["stock-4".to_owned()])[0].name, "stock-4");
        assert_eq!(chosen(&[ALL.to_owned()]).len(), CATALOGUE.len());
        assert_eq!(of_each_test().len(), 3);
    }

    #[test]
    fn the_page_lists_every_run() {
        let page = include_str!("../../../docs/rar-machine.md");
        let rows: Vec<_> = page
            .lines()
            .skip_while(|line| !line.starts_with("| name | what | when |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        assert_eq!(rows.len(), CATALOGUE.len());
        for (row, case) in rows.iter().zip(CATALOGUE) {
            let when = match case.when {
                When::Test => "`test`",
                When::Full => "`ci --full`",
            };
            let wanted = format!("| `{}` | {} | {when} |", case.name, case.about);
            assert_eq!(*row, wanted);
        }
    }

    #[test]
    fn the_runs_of_the_promise_are_there() {
        for cpus in [1, 2, 4, 8] {
            for apic in [Apic::Xapic, Apic::X2apic] {
                let same = |case: &&Case| (case.cpus, case.apic) == (cpus, apic);
                let mut stock = CATALOGUE.iter().filter(same);
                assert!(
                    stock.any(|case| case.guest == Guest::Stock),
                    "{cpus} {apic:?}"
                );
            }
        }
        for case in CATALOGUE {
            assert!(
                case.defect
                    .is_none_or(|name| Defect::by_name(name).is_some())
            );
        }
    }
}
