//! What a run prints at its end: tables that fit the terminal, the last lines of a log.

use comfy_table::{ContentArrangement, Table, presets};

/// The longest line of a log that is shown, in characters.
const WIDEST: usize = 240;

/// How wide tables are where there is no terminal.
const USUAL_WIDTH: u16 = 100;

/// A terminal narrower than that gets tables of this width.
const LEAST_WIDTH: u16 = 60;

/// Returns how many characters a line of the terminal has.
fn width() -> u16 {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map_or(USUAL_WIDTH, |(width, _)| width.0.max(LEAST_WIDTH))
}

/// Returns a table in the house's form, which fits the terminal: long cells wrap.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width())
        .set_header(header.to_vec());
    table
}

/// Returns the text of a table with one line per row, each row followed by its detail.
///
/// A detail is as wide as the table and wraps; an empty one takes no line.
#[must_use]
pub fn with_details(table: &Table, details: &[String]) -> String {
    let mut lines = Vec::new();
    let mut details = details.iter();
    let mut in_rows = false;
    for line in table.lines() {
        let is_row = in_rows && line.starts_with('│');
        in_rows |= line.starts_with('╞');
        let columns = line.chars().count();
        lines.push(line);
        let detail = if is_row { details.next() } else { None };
        for part in wrapped(detail.map_or("", String::as_str), columns.saturating_sub(8)) {
            let padding = columns.saturating_sub(8 + part.chars().count());
            lines.push(format!("│     {part}{} │", " ".repeat(padding)));
        }
    }
    lines.join("\n")
}

/// Returns a line of text, wrapped to the terminal; what follows the first line is indented.
#[must_use]
pub fn paragraph(text: &str) -> String {
    wrapped(text, usize::from(width()).saturating_sub(4)).join("\n    ")
}

/// Returns the words of a text in lines of at most `width` characters; a longer word has its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
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

    #[test]
    fn a_detail_stands_below_its_row_and_wraps() {
        let mut table = table(&["test", "outcome"]);
        table.set_width(60);
        table.add_row(["scan-order-of-all-entries", "observed"]);
        table.add_row(["one-page", "passed"]);
        let detail = "word ".repeat(12);
        let text = with_details(&table, &[detail, String::new()]);
        let lines: Vec<_> = text.lines().collect();
        let row = |name: &str| lines.iter().position(|line| line.contains(name)).unwrap();
        let (first, second) = (row("scan-order"), row("one-page"));
        assert!(second - first > 2, "{text}");
        let wide: Vec<_> = lines.iter().map(|line| line.chars().count()).collect();
        assert!(wide.iter().all(|columns| *columns == wide[0]), "{text}");
        assert_eq!(text.matches("word").count(), 12);
    }

    #[test]
    fn a_word_is_never_cut() {
        assert_eq!(wrapped("a bb ccccccc d", 4), ["a bb", "ccccccc", "d"]);
        assert!(wrapped("", 4).is_empty());
    }
}
