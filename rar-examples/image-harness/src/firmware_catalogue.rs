//! Machines that firmware leaves in disorder, or disturbs while tests run: the report must note it.

mod fadt;
mod from_outside;
mod io_apic_entries;
mod io_apics;
mod legacy;
mod local_apic;
mod local_apic_address;
mod madt_malformed;
mod madt_order;
mod memory_map;
mod phantoms;
mod registers;
mod root;
mod row;
mod script;
mod tables;
mod timers;

use clap::builder::PossibleValuesParser;
use rar_harness::catalogue;
use rar_harness::text::table;

pub use rar_harness::catalogue::ALL;

pub use self::row::FirmwareRow;
#[cfg(test)]
pub(crate) use self::row::row;

/// Rows of one kind.
struct Kind {
    name: &'static str,
    rows: fn() -> Vec<FirmwareRow>,
}

/// The kinds, each with its rows.
const KINDS: [Kind; 14] = [
    Kind {
        name: "entries of an I/O APIC left live",
        rows: io_apic_entries::rows,
    },
    Kind {
        name: "local APICs",
        rows: local_apic::rows,
    },
    Kind {
        name: "disturbed from outside all through the run",
        rows: from_outside::rows,
    },
    Kind {
        name: "legacy devices",
        rows: legacy::rows,
    },
    Kind {
        name: "timers",
        rows: timers::rows,
    },
    Kind {
        name: "registers of the boot CPU",
        rows: registers::rows,
    },
    Kind {
        name: "memory maps",
        rows: memory_map::rows,
    },
    Kind {
        name: "order of the MADT",
        rows: madt_order::rows,
    },
    Kind {
        name: "malformed MADTs",
        rows: madt_malformed::rows,
    },
    Kind {
        name: "CPUs that do not exist",
        rows: phantoms::rows,
    },
    Kind {
        name: "addresses of local APICs",
        rows: local_apic_address::rows,
    },
    Kind {
        name: "addresses of I/O APICs",
        rows: io_apics::rows,
    },
    Kind {
        name: "FADTs",
        rows: fadt::rows,
    },
    Kind {
        name: "root pointers and lists of tables",
        rows: root::rows,
    },
];

/// Returns the machines.
#[must_use]
pub fn rows() -> Vec<FirmwareRow> {
    KINDS.iter().flat_map(|kind| (kind.rows)()).collect()
}

/// Returns the names that `--firmware` takes.
#[must_use]
pub fn names() -> PossibleValuesParser {
    catalogue::names(rows().iter().map(|row| row.machine.name))
}

/// Returns the machines of these names, in the catalogue's order.
#[must_use]
pub fn chosen(names: &[String]) -> Vec<FirmwareRow> {
    catalogue::chosen(&rows(), |row| row.machine.name, names)
}

/// Returns the machines as a table for a terminal.
#[must_use]
pub fn list() -> String {
    let mut list = table(&["name", "what firmware leaves", "booted in"]);
    for row in rows() {
        let machine = row.machine;
        list.add_row([machine.name, machine.about, machine.when.command()]);
    }
    list.to_string()
}

/// Returns the machines as a page in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = include_str!("firmware_catalogue/page.txt").to_owned();
    for kind in &KINDS {
        page.push_str(&format!(
            "\n## {}\n\n| name | what firmware leaves | booted in | the verdict | noted |\n\
             |---|---|---|---|---|\n",
            capitalized(kind.name)
        ));
        for FirmwareRow { machine, .. } in (kind.rows)() {
            let notes = machine.notes.iter().map(|note| format!("`{note}`"));
            page.push_str(&format!(
                "| `{}` | {} | `{}` | holds{} | {} |\n",
                machine.name,
                machine.about,
                machine.when.command(),
                machine.absent.coverage(machine.cpus),
                match machine.notes {
                    [] => "nothing".to_owned(),
                    _ => notes.collect::<Vec<_>>().join(", "),
                }
            ));
        }
    }
    page
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(rest).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rar_harness::catalogue::ALL;

    use super::*;
    use crate::test_machine::When;

    #[test]
    fn names_are_unique_and_choose() {
        let rows = rows();
        let names: BTreeSet<_> = rows.iter().map(|row| row.machine.name).collect();
        assert_eq!(names.len(), rows.len());
        assert_eq!(chosen(&["edge-12".to_owned()])[0].machine.name, "edge-12");
        assert_eq!(chosen(&[ALL.to_owned()]).len(), rows.len());
    }

    #[test]
    fn each_leaves_something_and_some_of_most_kinds_are_booted_in_each_test() {
        assert!(rows().len() >= 60);
        assert!(rows().iter().all(FirmwareRow::leaves_something));
        let tested = |kind: &&Kind| {
            let rows = (kind.rows)();
            rows.iter().any(|row| row.machine.when == When::Test)
        };
        assert!(KINDS.iter().filter(tested).count() >= KINDS.len() - 5);
    }

    #[test]
    fn the_page_lists_every_row() {
        let written = include_str!("../../../docs/firmware.md");
        assert!(
            written == page(),
            "docs/firmware.md is old: write it by `cargo xtask image --list --markdown \
             docs/firmware.md`"
        );
    }
}
