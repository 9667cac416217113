//! Counts as a page of the documentation.

use std::fmt::Write as _;

use crate::figures::Moved;
use crate::figures::{Count, Linking};
use crate::lines;
use crate::table::{Row, Sheet, sheets};

/// What was counted with which programs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The first lines of what they print about themselves.
    pub versions: Vec<String>,
}

const INTRODUCTION: &str = include_str!("introduction.md");

/// Returns the page.
pub fn render(tools: &Tools, runs: &[(Linking, Vec<Count>)], moved: &[Moved]) -> String {
    let mut page = INTRODUCTION.to_owned();
    let versions = tools.versions.join(", ");
    let _infallible = write!(page, "\nCounted with {versions}.\n");
    for (linking, counts) in runs {
        let _infallible = write!(page, "\n## {}\n", linking.title());
        let (sheets, others) = sheets(counts);
        for sheet in &sheets {
            page.push_str(&markdown(sheet));
        }
        if others.is_empty() {
            continue;
        }
        page.push_str("\n### Besides\n\n| case | instructions |\n|---|---:|\n");
        for count in others {
            let _infallible = writeln!(page, "| {} | {} |", count.case, count.instructions);
        }
    }
    with_lines(&page, moved)
}

/// Returns a page with another last section: that of the lines.
pub fn with_lines(page: &str, moved: &[Moved]) -> String {
    let counts = page.split(lines::HEADING).next().unwrap_or_default();
    format!("{}\n\n{}", counts.trim_end(), lines::section(moved))
}

fn markdown(sheet: &Sheet) -> String {
    let mut text = format!("\n### Room for {} CPUs\n\n| targets", sheet.room);
    for targets in &sheet.targets {
        let _infallible = write!(text, " | {targets}");
    }
    text.push_str(" | fixed | per target |\n|---|");
    text.push_str(&"---:|".repeat(sheet.targets.len() + 2));
    text.push('\n');
    for row in &sheet.rows {
        text.push_str(&line(row));
    }
    text
}

fn line(row: &Row) -> String {
    let mut text = format!("| {}", row.what);
    for count in &row.counts {
        let count = count.map_or_else(String::new, |count| format!("{count:.0}"));
        let _infallible = write!(text, " | {count}");
    }
    let (fixed, slope) = row.line_as_text();
    let _infallible = writeln!(text, " | {fixed} | {slope} |");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::moved;

    #[test]
    fn a_page_has_each_count_and_what_it_was_counted_with() {
        let counts = [("flush 1/64", 110), ("flush 63/64", 730), ("encode", 24)];
        let counts = counts.map(|(case, instructions)| Count {
            case: case.to_owned(),
            instructions,
        });
        let tools = Tools {
            versions: vec!["rustc 1.2.3".to_owned()],
        };
        let page = render(
            &tools,
            &[(Linking::Lto, counts.to_vec())],
            &[moved("flush", 4, 8)],
        );
        for part in [
            "Counted with rustc 1.2.3.",
            "| targets | 1 | 63 | fixed | per target |\n|---|---:|---:|---:|---:|\n",
            "| flush | 110 | 730 | 100 | 10.0 |",
            "| encode | 24 |\n\n## Lines moved\n",
            "### 4 initiators",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let again = with_lines(&page, &[moved("flush", 64, 8)]);
        assert!(
            again.contains("| encode | 24 |\n\n## Lines moved\n"),
            "{again}"
        );
        assert!(
            again.contains("### 64 initiators") && !again.contains("### 4 "),
            "{again}"
        );
    }
}
