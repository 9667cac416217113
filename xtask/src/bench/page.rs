//! Counts as a page of the documentation.

use super::lines::{self, Moved};
use super::table::{Row, Sheet, sheets};
use super::{Count, Linking};
use std::fmt::Write as _;

/// What was counted with which programs.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    /// The first lines of what they print about themselves.
    pub(super) versions: Vec<String>,
}

const INTRODUCTION: &str = "\
# Performance

`cargo xtask bench --page` wrote this file. The figures are instructions of the CPU that flushes, counted by callgrind, and,
at the end, the [cache lines that a flush moves](#lines-moved). Instructions depend on the compiler, and not on the load or
the speed of the machine.

A count is not a time. It does not contain cache misses, the cost of a fence, or what the targets do; on a real machine
these decide how long a flush takes. The count shows what the driver adds to them.

- **Counted**: the call, from its arguments to its result, less what an empty call costs.
- **Not counted**: the writes to the interrupt command register and the answer of the targets. They are one function in
  the bench. A row `X86Machine` counts what the ready machine does before and between these writes.
- Targets have RAR and answer before the first look. The initiator is in the target set, and its own flush costs nothing.
- **flush** is one page of one PCID on all targets. **start and wait** does the same by two calls, **start** is the first of
  them, and **poll** is one look at targets that have answered.
- **unmap** gathers pages and flushes what they became: 4 ranges, 100 pages that cost more than their address space, or
  pages and their table. **gather** is the first half of it.
- **collapse** makes operations of requests of a page each, in no order. **encode, 64** makes 64 entries, in a loop.
- **floor** is written by hand for one initiator that owns its slot: one fence, one look at the target set, one entry, one
  byte stored and one read for each target. **floor of the sender** is one pair of fences and one store for each cluster of
  16 CPUs.
- **C bitmap** is the algorithm of the published RFC series: one bitmap of free slots. **C locks** has a lock for each slot
  instead. **C IPI calls** needs no RAR: each target has a queue of function calls and an ordinary interrupt. All are our
  own code (`rar-examples/bench/c`), compiled with `-O2`. They have no deadline, no fallback and no lazy CPUs.
- **bits** looks for the next CPU of the mask by a function that is called for each, as kernels do. **words** takes the bits
  out of each word in the loop.
- **fixed** and **per target** are the straight line through the fewest and the most targets of the row.
";

/// Returns the page.
pub(super) fn render(tools: &Tools, runs: &[(Linking, Vec<Count>)], moved: &[Moved]) -> String {
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
pub(super) fn with_lines(page: &str, moved: &[Moved]) -> String {
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
    use super::super::lines::tests::moved;
    use super::*;

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
