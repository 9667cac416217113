//! How many cache lines a flush moves: measured on the simulated machine, shown beside the instructions.

use super::table::{Row, Sheet};
use crate::sim;
use anyhow::{Context as _, Result};
use comfy_table::CellAlignment;
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::progress::Step;
use rar_harness::text;
use rar_harness::workspace::Workspace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The program of the simulator that measures.
const PROGRAM: &str = "lines";

/// What starts the name of each case.
pub(super) const START: &str = "lines, ";

/// The heading of the section, which is the last one of the page.
pub(super) const HEADING: &str = "## Lines moved";

/// For how many targets the kinds are shown.
const SHOWN_BY_KIND: u32 = 63;

const INTRODUCTION: &str = "
`cargo xtask bench --lines` shows these figures. They are transfers of cache lines for each flush of one page, counted in the
simulator: the driver's own code and RAR units run on as many CPUs as it takes, each with a cache that knows modified,
shared and invalid lines. The same tree gives the same figures, whatever the compiler and the machine.

- **Counted**: a read by a cache without a copy, and a write by a cache that is not the only one with a copy. Where it has a
  copy already no data moves, but the others have to give theirs up. A line that is polled moves when it has changed.
- **Not counted**: page tables, the stack, the interrupt itself. Caches are as large as they need to be.
- Initiators are the CPUs from 0 on. Each flushes that many *other* CPUs, without a pause. Where there are as many CPUs as
  an initiator and its targets, they are threads of one process; otherwise each flushes the CPUs behind it, in a ring.
- **floor** is the bound that the protocol sets: each initiator has a slot for ever, and nobody looks at anything else. A
  single initiator moves each target's vector four times (to the initiator that arms it, to the unit that reads it,
  to be owned there when the unit answers, back to the initiator that polls it), the entry once to each target, and once
  to be written again: 5 a target, and 1. A unit that fetched the vector to own it at once would save one of them, in
  every row but the last. Several initiators can need less than the floor of one: a unit that finds two bytes pending
  fetches the line once.
- **bitmap of slots**, **lock per slot** and **IPI calls** are the designs of the instruction counts. A call has a line of its
  own for each pair of CPUs, and a queue for each target.
- **flush, lazy CPUs skipped** reads the generation of each target, too; nobody is lazy.
- Figures of several initiators depend on who meets whom where. Two designs with the same lines differ by up to 5 % by
  chance.
- **128 by 127**: more initiators than slots, so that half of them wait for one. **one home**: CPU 0 and CPU 64, whose first slot is the same. **pairs**: caches fetch both lines of 128 bytes.
";

/// One case, as the program prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Its name.
    pub(super) case: String,
    pub(super) design: String,
    initiators: u32,
    targets: u32,
    /// Whether the case is not of the grid.
    special: bool,
    /// Transfers for each flush.
    pub(super) transfers: f64,
    /// The same by what the lines hold, without those that do not move.
    pub(super) kinds: Vec<(String, f64)>,
}

/// Builds the program and runs it.
pub(super) fn measure(
    workspace: &Workspace,
    filter: Option<&str>,
    verbosity: Verbosity,
) -> Result<Vec<Moved>> {
    let program = sim::build(workspace, PROGRAM, verbosity)?;
    let step = Step::new("counting the lines that move", verbosity);
    let captured = Cmd::new(utf8(&program)?)
        .args(filter)
        .dir(&workspace.root)
        .require(verbosity)?;
    step.finish();
    serde_json::from_str(&captured.stdout)
        .with_context(|| format!("the output of {PROGRAM} cannot be read"))
}

/// Returns a sheet for each number of initiators.
pub(super) fn sheets(moved: &[Moved]) -> Vec<Sheet> {
    let grid = || moved.iter().filter(|case| !case.special);
    let initiators: BTreeSet<_> = grid().map(|case| case.initiators).collect();
    let sheet = |initiators| {
        let of_sheet = || grid().filter(move |case| case.initiators == initiators);
        let targets: BTreeSet<_> = of_sheet().map(|case| case.targets).collect();
        let row = |design: &str| Row {
            what: design.to_owned(),
            counts: targets
                .iter()
                .map(|targets| {
                    of_sheet()
                        .find(|case| case.design == design && case.targets == *targets)
                        .map(|case| case.transfers)
                })
                .collect(),
            line: None,
        };
        Sheet {
            room: initiators,
            rows: designs(of_sheet()).into_iter().map(row).collect(),
            targets: targets.into_iter().collect(),
        }
    };
    initiators.into_iter().map(sheet).collect()
}

fn designs<'m>(cases: impl Iterator<Item = &'m Moved>) -> Vec<&'m str> {
    let mut names: Vec<&str> = Vec::new();
    for case in cases {
        if !names.contains(&case.design.as_str()) {
            names.push(&case.design);
        }
    }
    names
}

/// A table of text: its title, its header, its rows.
struct Text {
    title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn texts(moved: &[Moved]) -> Vec<Text> {
    let mut texts: Vec<_> = sheets(moved).iter().map(by_targets).collect();
    let initiators: BTreeSet<_> = moved.iter().map(|case| case.initiators).collect();
    for initiators in initiators {
        let shown = |case: &&Moved| {
            !case.special && case.initiators == initiators && case.targets == SHOWN_BY_KIND
        };
        let title = format!(
            "{}, {SHOWN_BY_KIND} targets, by what the lines hold",
            of(initiators)
        );
        let cases: Vec<_> = moved.iter().filter(shown).collect();
        texts.extend(by_kind(title, "transfers", &cases, |case| {
            case.design.clone()
        }));
    }
    let special: Vec<_> = moved.iter().filter(|case| case.special).collect();
    let name = |case: &Moved| {
        case.case
            .strip_prefix(START)
            .unwrap_or(&case.case)
            .to_owned()
    };
    texts.extend(by_kind("Besides".to_owned(), "transfers", &special, name));
    texts
}

/// Returns so many initiators as words.
fn of(initiators: u32) -> String {
    match initiators {
        1 => "One initiator".to_owned(),
        _ => format!("{initiators} initiators"),
    }
}

fn by_targets(sheet: &Sheet) -> Text {
    let mut header = vec!["targets".to_owned()];
    header.extend(sheet.targets.iter().map(u32::to_string));
    let cells = |row: &Row| {
        let counts = row
            .counts
            .iter()
            .map(|count| count.map_or_else(String::new, amount));
        std::iter::once(row.what.clone()).chain(counts).collect()
    };
    Text {
        title: of(sheet.room),
        header,
        rows: sheet.rows.iter().map(cells).collect(),
    }
}

/// Returns a table with a column for each kind that moves; none without cases.
fn by_kind(
    title: String,
    first: &str,
    cases: &[&Moved],
    name: impl Fn(&Moved) -> String,
) -> Option<Text> {
    let mut kinds: Vec<&str> = Vec::new();
    for (kind, _) in cases.iter().flat_map(|case| &case.kinds) {
        if !kinds.contains(&kind.as_str()) {
            kinds.push(kind);
        }
    }
    let mut header = vec![first.to_owned()];
    header.extend(kinds.iter().map(|kind| (*kind).to_owned()));
    header.push("all".to_owned());
    let row = |case: &&Moved| {
        let of_kind = |kind: &&str| {
            let found = case.kinds.iter().find(|(name, _)| name == kind);
            amount(found.map_or(0.0, |(_, transfers)| *transfers))
        };
        let mut cells = vec![name(case)];
        cells.extend(kinds.iter().map(of_kind));
        cells.push(amount(case.transfers));
        cells
    };
    (!cases.is_empty()).then(|| Text {
        title,
        header,
        rows: cases.iter().map(row).collect(),
    })
}

/// As many digits as mean something.
fn amount(transfers: f64) -> String {
    if transfers < 100.0 {
        format!("{transfers:.1}")
    } else {
        format!("{transfers:.0}")
    }
}

/// Returns the cases as tables for a terminal.
pub(super) fn render(moved: &[Moved]) -> String {
    let mut text = String::new();
    for Text {
        title,
        header,
        rows,
    } in texts(moved)
    {
        let header: Vec<_> = header.iter().map(String::as_str).collect();
        let mut table = text::table(&header);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.add_rows(rows);
        let _infallible = writeln!(text, "lines moved for each flush: {title}\n{table}\n");
    }
    text
}

/// Returns the section of the page.
pub(super) fn section(moved: &[Moved]) -> String {
    let mut page = format!("{HEADING}\n{INTRODUCTION}");
    for text in texts(moved) {
        let _infallible = write!(
            page,
            "\n### {}\n\n| {} |\n|---|{}\n",
            text.title,
            text.header.join(" | "),
            "---:|".repeat(text.header.len() - 1)
        );
        for row in text.rows {
            let _infallible = writeln!(page, "| {} |", row.join(" | "));
        }
    }
    page
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn moved(design: &str, initiators: u32, targets: u32) -> Moved {
        Moved {
            case: format!("{START}{design}, {initiators} by {targets}"),
            design: design.to_owned(),
            initiators,
            targets,
            special: false,
            transfers: f64::from(5 * targets + 1),
            kinds: vec![
                ("payload".to_owned(), f64::from(targets + 1)),
                ("vector".to_owned(), f64::from(4 * targets)),
            ],
        }
    }

    #[test]
    fn a_section_has_a_table_for_each_number_of_initiators_and_one_by_kind() {
        let mut cases = vec![
            moved("flush", 1, 8),
            moved("flush", 1, 63),
            moved("floor", 1, 63),
            moved("flush", 4, 8),
        ];
        cases.push(Moved {
            case: "lines, flush, 2 by 255, one home".to_owned(),
            special: true,
            kinds: vec![("slot state".to_owned(), 2.25)],
            ..moved("flush", 2, 255)
        });
        let page = section(&cases);
        for part in [
            "## Lines moved\n",
            "### One initiator\n\n| targets | 8 | 63 |\n|---|---:|---:|\n| flush | 41.0 | 316 |\n| floor |  | 316 |\n",
            "### 4 initiators\n\n| targets | 8 |\n",
            "hold\n\n| transfers | payload | vector | all |\n|---|---:|---:|---:|\n| flush | 64.0 | 252 | 316 |\n",
            "| flush, 2 by 255, one home | 2.2 | 1276 |\n",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let tables = render(&cases);
        assert!(
            tables.contains("4 initiators") && tables.contains("316"),
            "{tables}"
        );
        assert_eq!(render(&[]), "");
    }
}
