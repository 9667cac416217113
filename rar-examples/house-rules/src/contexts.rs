//! The page of contexts, and the tests that it names.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use crate::Findings;
use crate::files::SourceTree;

const PAGE: &str = "docs/contexts.md";
/// Each test in this folder is named on the page.
const TESTS: &str = "rar-shootdown/tests/contexts/";
/// Each program here that must not compile is, too, if its name begins so.
const PROGRAMS: &str = "rar-shootdown/tests/ui/context_";
const ANSWERS: [&str; 4] = ["yes", "yes or error", "error", "compile error"];

/// Checks that the page has an answer for each call and context, that each names tests that exist,
/// and that it names every test of contexts. Without the page there is nothing to check.
///
/// # Errors
///
/// A test file that is not valid Rust.
pub fn contexts(tree: &SourceTree) -> Result<Findings> {
    let Some(page) = tree.get(PAGE) else {
        return Ok(Findings::default());
    };
    let mut violations = Vec::new();
    let known = Tests::read(tree)?;
    let (table, sections) = read(&page.text);
    let mut named = BTreeSet::new();
    if table.rows.len() != sections.len() {
        violations.push(format!(
            "{PAGE}: the first table has other contexts (got {} rows, expected {} as sections)",
            table.rows.len(),
            sections.len()
        ));
    }
    for ((context, answers), section) in table.rows.iter().zip(&sections) {
        if !context.eq_ignore_ascii_case(&section.context) {
            violations.push(format!(
                "{PAGE}: the sections have another order (got `{}`, expected `{context}`)",
                section.context
            ));
        }
        let calls: Vec<_> = section.rows.iter().map(|row| row.call.as_str()).collect();
        if calls != table.calls {
            violations.push(format!(
                "{PAGE}: `{context}` has other calls (got {calls:?}, expected {:?})",
                table.calls
            ));
        }
        for (row, answer) in section.rows.iter().zip(answers) {
            let place = format!("{PAGE}:{}: `{}` in `{context}`", row.line, row.call);
            if row.answer != *answer || !ANSWERS.contains(&row.answer.as_str()) {
                violations.push(format!(
                    "{place}: another answer than in the first table, or not one of {ANSWERS:?} \
                     (got `{}`, expected `{answer}`)",
                    row.answer
                ));
            }
            if row.tests.is_empty() {
                violations.push(format!("{place}: no test; name one"));
            }
            for test in &row.tests {
                if !known.all.contains(test) {
                    violations.push(format!("{place}: there is no test `{test}`"));
                }
            }
            named.extend(row.tests.iter().cloned());
        }
    }
    for missing in known.of_contexts.difference(&named) {
        violations.push(format!(
            "{PAGE}: the test `{missing}` is not named; add it to the row that it shows"
        ));
    }
    Ok(Findings {
        violations,
        summary: format!("{} tests of contexts", named.len()),
    })
}

/// The tests of the repository by name; a program that must not compile by its file.
#[derive(Default)]
struct Tests {
    all: BTreeSet<String>,
    of_contexts: BTreeSet<String>,
}

impl Tests {
    fn read(tree: &SourceTree) -> Result<Self> {
        let mut tests = Self::default();
        for file in tree.of("rs").filter(|file| file.path.contains("/tests/")) {
            if file.path.contains("/ui/") {
                let name = file.path.rsplit('/').next().unwrap_or_default();
                tests.note(name.to_owned(), file.path.starts_with(PROGRAMS));
                continue;
            }
            let source = syn::parse_file(&file.text)
                .with_context(|| format!("{} is not valid Rust", file.path))?;
            for item in source.items {
                let syn::Item::Fn(function) = item else {
                    continue;
                };
                if function
                    .attrs
                    .iter()
                    .any(|what| what.path().is_ident("test"))
                {
                    let name = function.sig.ident.to_string();
                    tests.note(name, file.path.starts_with(TESTS));
                }
            }
        }
        Ok(tests)
    }

    fn note(&mut self, name: String, is_of_contexts: bool) {
        if is_of_contexts {
            self.of_contexts.insert(name.clone());
        }
        self.all.insert(name);
    }
}

/// The first table: calls, and for each context an answer to each.
#[derive(Default)]
struct Table {
    calls: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

struct Section {
    context: String,
    rows: Vec<Row>,
}

struct Row {
    line: usize,
    call: String,
    answer: String,
    tests: Vec<String>,
}

/// Reads the first table, and the table below each heading of the second level.
fn read(text: &str) -> (Table, Vec<Section>) {
    let mut table = Table::default();
    let mut sections: Vec<Section> = Vec::new();
    let mut is_first = true;
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(heading) = text.strip_prefix("## ") {
            sections.push(Section {
                context: heading.to_owned(),
                rows: Vec::new(),
            });
        }
        let mut cells = text.split('|').map(|cell| cell.trim().to_owned());
        let is_row = cells.next_back().is_some() && cells.next().is_some();
        let cells: Vec<_> = cells.collect();
        if !is_row {
            // Only the first table of the page is read before the first heading.
            is_first &= table.calls.is_empty();
            continue;
        }
        match (sections.last_mut(), cells.as_slice()) {
            (_, [rule, ..]) if rule.starts_with("---") => {}
            (Some(section), [call, answer, _, tests]) if call != "call" => {
                section.rows.push(Row {
                    line,
                    call: call.clone(),
                    answer: answer.clone(),
                    tests: quoted(tests),
                });
            }
            (None, [empty, calls @ ..]) if is_first && empty.is_empty() => {
                table.calls = calls.to_vec();
            }
            (None, [context, answers @ ..]) if is_first => {
                table.rows.push((context.clone(), answers.to_vec()));
            }
            _ => {}
        }
    }
    (table, sections)
}

/// Returns what stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    let parts = cell.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::tree;

    const GOOD: &str = "# Page\n\n| | start | wait |\n|---|---|---|\n\
        | lock held | yes | compile error |\n\nWords.\n\n| name | x |\n|---|---|\n| start | y |\n\n\
        ## Lock held\n\n| call | answer | why | tests |\n|---|---|---|---|\n\
        | start | yes | | `one`, `two` |\n| wait | compile error | | `context_a.rs` |\n";

    fn violations(page: &str, tests: &str) -> Vec<String> {
        let (_folder, tree) = tree(&[
            (PAGE, page),
            ("rar-shootdown/tests/contexts/main.rs", tests),
            ("rar-shootdown/tests/ui/context_a.rs", "fn main() {}\n"),
            ("x/tests/y.rs", "#[test]\nfn two() {}\nfn three() {}\n"),
        ]);
        contexts(&tree).unwrap().violations
    }

    const ONE: &str = "#[test]\nfn one() {}\n";

    #[test]
    fn a_page_that_agrees_with_the_tests_has_no_violation() {
        assert_eq!(violations(GOOD, ONE), [""; 0]);
    }

    #[track_caller]
    fn finds(from: &str, to: &str, expected: &str) {
        let found = violations(&GOOD.replace(from, to), ONE);
        assert!(
            found.iter().any(|text| text.contains(expected)),
            "{found:?}"
        );
    }

    #[test]
    fn what_disagrees_is_found() {
        finds("`two`", "`three`", "there is no test `three`");
        finds("`one`, `two`", "`two`", "`one` is not named");
        finds("`one`, `two`", "", "no test; name one");
        finds("`context_a.rs`", "`two`", "`context_a.rs` is not named");
        finds("| start | yes | |", "| start | error | |", "another answer");
        finds("yes", "perhaps", "not one of");
        finds(
            "| wait | compile error | | `context_a.rs` |\n",
            "",
            "other calls",
        );
        finds("## Lock held", "## Panic", "another order");
        finds(
            "| lock held | yes | compile error |\n",
            "",
            "other contexts",
        );
        let unnamed = violations(GOOD, &format!("{ONE}#[test]\nfn four() {{}}\n"));
        assert_eq!(unnamed.len(), 1, "{unnamed:?}");
    }
}
