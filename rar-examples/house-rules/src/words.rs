//! Phrases that stop a reader, with what to write instead.

use crate::Findings;
use crate::exceptions::WORDS;
use crate::files::SourceTree;

/// What not to write, and what to write.
const PHRASES: [(&str, &str); 14] = [
    ("so many", "`N`, or `at most N`"),
    ("but for", "`except`"),
    ("in place of", "`instead of`"),
    ("of which", "`whose`, or a new sentence"),
    ("for ever", "`forever`, or `indefinitely`"),
    ("nobody", "`no CPU`, `no code`, `nothing`"),
    ("everybody", "`all CPUs`, `all users`"),
    ("tells of", "`detects`, or `reports`"),
    ("told of", "`reported`"),
    ("tell of", "`detect`, or `report`"),
    ("whoever", "`a caller that`, `a CPU that`"),
    ("need bear", "`must accept`"),
    ("is none", "`is not a ...`, `has no ...`"),
    ("how many-th", "`n-th`"),
];

/// Checks the words of all Rust and Markdown files.
#[must_use]
pub fn words(tree: &SourceTree) -> Findings {
    let mut violations = Vec::new();
    for file in tree.files() {
        if WORDS.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in (1..).zip(file.text.lines()) {
            let line = without_names(line).to_lowercase();
            let used = PHRASES.iter().filter(|(phrase, _)| holds(&line, phrase));
            violations.extend(used.map(|(phrase, instead)| {
                format!("{}:{number}: `{phrase}`; write {instead}", file.path)
            }));
        }
    }
    Findings {
        violations,
        summary: format!("{} files in plain words", tree.files().len()),
    }
}

/// Returns a line without what stands between backticks: those are names, not words.
fn without_names(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Returns whether a line holds a phrase as whole words.
fn holds(line: &str, phrase: &str) -> bool {
    line.match_indices(phrase).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + phrase.len()..)
            .and_then(|text| text.chars().next());
        ![before, after]
            .into_iter()
            .flatten()
            .any(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::tree;

    #[test]
    fn phrases_are_found_as_whole_words_in_any_case() {
        let text = "// Nobody waits for ever.\nfn nobody_waits() {}\n// anybody, `Nobody`\n";
        let (_folder, tree) = tree(&[("a.rs", text), ("b.md", "It has so\nmany, but forty.\n")]);
        let found = words(&tree).violations;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|text| text.starts_with("a.rs:1: ")));
        assert!(found.iter().any(|text| text.contains("`no CPU`")));
    }
}
