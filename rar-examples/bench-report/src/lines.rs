//! How many cache lines a flush moves: measured on the simulated machine, shown beside the
//! instructions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use comfy_table::CellAlignment;
use rar_harness::text;

use crate::figures::Moved;
use crate::table::{Row, Sheet};

/// What starts the name of each case.
pub const START: &str = "lines, ";

/// The heading of the section, which is the last one of the page.
pub const HEADING: &str = "## Lines moved";

/// For how many targets the kinds are shown.
const SHOWN_BY_KIND: u32 = 63;

const INTRODUCTION: &str = include_str!("lines.md");

/// Returns a sheet for each number of initiators.
pub fn sheets(moved: &[Moved]) -> Vec<Sheet> {
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

/// Returns the number of initiators as words.
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
pub fn render(moved: &[Moved]) -> String {
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
pub fn section(moved: &[Moved]) -> String {
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
mod tests {
    use super::*;
    use crate::figures::tests::moved;

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
            "### One initiator\n\n| targets | 8 | 63 |\n|---|---:|---:|\n\
             | flush | 41.0 | 316 |\n| floor |  | 316 |\n",
            "### 4 initiators\n\n| targets | 8 |\n",
            "hold\n\n| transfers | payload | vector | all |\n|---|---:|---:|---:|\n\
             | flush | 64.0 | 252 | 316 |\n",
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
