//! What a run prints at its end: tables, counts, the last lines of a log.

use comfy_table::{Table, presets};

/// The longest line of a log that is shown, in characters.
const WIDEST: usize = 240;

/// Passed, failed, skipped and observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// What passed.
    pub passed: usize,
    /// What failed.
    pub failed: usize,
    /// What did not apply.
    pub skipped: usize,
    /// What was only looked at.
    pub observed: usize,
}

impl Count {
    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.observed += other.observed;
    }

    /// Returns the summary line.
    #[must_use]
    pub fn line(self) -> String {
        let mut line = format!("{} passed, {} failed", self.passed, self.failed);
        if self.observed > 0 {
            line.push_str(&format!(", {} observed", self.observed));
        }
        if self.skipped > 0 {
            line.push_str(&format!(", {} skipped", self.skipped));
        }
        line
    }
}

/// Returns a table in the house's form.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_header(header.to_vec());
    table
}

/// Returns the last lines of a log under a title, each cut where it would fill the screen.
pub fn tail<'a>(
    title: &str,
    lines: impl DoubleEndedIterator<Item = &'a str>,
    last: usize,
) -> String {
    let mut kept: Vec<_> = lines.rev().take(last).collect();
    kept.reverse();
    let mut text = format!("--- {title}, last {} lines\n", kept.len());
    for line in kept {
        let cut: String = line.chars().take(WIDEST).collect();
        text.push_str(&format!("    {cut}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_bounded() {
        assert_eq!(
            tail("console", ["a", "b", "c"].into_iter(), 2),
            "--- console, last 2 lines\n    b\n    c\n"
        );
    }
}
