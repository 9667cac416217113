//! Files and lines that fit a screen.

use crate::Findings;
use crate::exceptions::{GENERATED, LONG_FILES, WIDE_FILES};
use crate::files::{SourceFile, SourceTree};

/// Lines of a file of Rust, with its tests, or of C.
const MAX_LINES: usize = 400;

/// Columns of a line of Rust or C.
const MAX_CODE_COLUMNS: usize = 100;

/// What the names of such files end in.
const CODE: [&str; 3] = ["rs", "c", "h"];

/// Columns of a tab, which C is indented with.
const TAB: usize = 8;

/// Columns of a line of Markdown.
const MAX_MARKDOWN_COLUMNS: usize = 120;

/// How many lines of one file a message names.
const SHOWN: usize = 5;

/// Checks the lengths of files and lines.
#[must_use]
pub fn size(tree: &SourceTree) -> Findings {
    let mut violations = Vec::new();
    for file in code(tree) {
        let lines = file.text.lines().count();
        let is_excused = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        if lines > MAX_LINES && !is_excused {
            violations.push(format!(
                "{}: the file is too long (got {lines} lines, expected {MAX_LINES} at most); \
                 move one of its ideas to a file of its own",
                file.path
            ));
        }
        if !WIDE_FILES.iter().any(|(path, _)| *path == file.path) {
            violations.extend(wide(file, MAX_CODE_COLUMNS, |_| false));
        }
    }
    for file in tree.of("md") {
        if !GENERATED.contains(&file.path.as_str()) {
            violations.extend(wide(file, MAX_MARKDOWN_COLUMNS, cannot_wrap));
        }
    }
    Findings {
        violations,
        summary: format!(
            "{} files of at most {MAX_LINES} lines and {MAX_CODE_COLUMNS} columns",
            code(tree).count()
        ),
    }
}

/// Returns the files of Rust and C.
fn code(tree: &SourceTree) -> impl Iterator<Item = &SourceFile> {
    CODE.into_iter().flat_map(|extension| tree.of(extension))
}

/// Returns the columns of a line.
fn columns(line: &str) -> usize {
    line.chars().fold(0, |columns, character| match character {
        '\t' => (columns / TAB + 1) * TAB,
        _ => columns + 1,
    })
}

/// Returns whether Markdown has no way to break this line: a row of a table, the target of a link.
fn cannot_wrap(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('|') || line.starts_with('[') && line.contains("]: ")
}

/// Returns the lines of a file that are too wide, as one message.
fn wide(file: &SourceFile, most: usize, is_excused: fn(&str) -> bool) -> Option<String> {
    let wide: Vec<_> = (1..)
        .zip(file.text.lines())
        .filter(|(_, line)| columns(line) > most && !is_excused(line))
        .map(|(number, line)| format!("{number} ({})", columns(line)))
        .collect();
    let shown: Vec<_> = wide.iter().take(SHOWN).map(String::as_str).collect();
    let more = if wide.len() > SHOWN { ", ..." } else { "" };
    (!wide.is_empty()).then(|| {
        format!(
            "{}: {} lines have more than {most} columns: {}{more}; break them",
            file.path,
            wide.len(),
            shown.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::tree;

    #[test]
    fn long_files_and_wide_lines_are_found_with_their_numbers() {
        let long = "\n".repeat(MAX_LINES + 1);
        let wide = format!("\n{}\n", "é".repeat(MAX_CODE_COLUMNS + 1));
        let (_folder, tree) = tree(&[("a.rs", &long), ("b.rs", &wide), ("c.md", &wide)]);
        let found = size(&tree).violations;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("got 401 lines"), "{found:?}");
        assert!(found[1].contains("2 (101)"), "{found:?}");
    }

    #[test]
    fn a_tab_ends_at_the_next_multiple_of_eight() {
        let (_folder, tree) = tree(&[
            ("a.c", &format!("ab\t{}\n", "x".repeat(92))),
            ("b.h", &format!("ab\t{}\n", "x".repeat(93))),
        ]);
        let found = size(&tree).violations;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("b.h") && found[0].contains("1 (101)"),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_just_short_enough_passes() {
        let long = "\n".repeat(MAX_LINES);
        let wide = "é".repeat(MAX_CODE_COLUMNS);
        let text = "w ".repeat(MAX_MARKDOWN_COLUMNS / 2);
        let row = format!(
            "| {} |\n[a]: https://{}\n",
            "a".repeat(130),
            "b".repeat(130)
        );
        let (_folder, tree) = tree(&[
            ("a.rs", &long),
            ("b.rs", &wide),
            ("c.md", &text),
            ("d.md", &row),
        ]);
        let found = size(&tree).violations;
        assert!(found.is_empty(), "{found:?}");
    }
}
