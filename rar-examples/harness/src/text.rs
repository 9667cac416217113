//! What a run prints at its end: tables, counts, the last lines of a log.

use comfy_table::{Table, presets};

/// The longest line of a log that is shown, in characters.
const WIDEST: usize = 240;

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
