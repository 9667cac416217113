//! Links inside the repository that lead somewhere.

use std::path::Path;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::Findings;
use crate::files::{SourceFile, SourceTree};

/// Checks the relative links of all Markdown files, and the headings that they name.
#[must_use]
pub fn links(tree: &SourceTree) -> Findings {
    let mut violations = Vec::new();
    let mut count = 0;
    for file in tree.of("md") {
        for (line, target) in targets(&file.text) {
            count += 1;
            if let Some(wrong) = wrong(tree, file, &target) {
                violations.push(format!("{}:{line}: {wrong}", file.path));
            }
        }
    }
    Findings {
        violations,
        summary: format!("{count} links in Markdown that lead somewhere"),
    }
}

/// Returns the relative links of a text with their lines.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (event, range) in Parser::new_ext(text, Options::all()).into_offset_iter() {
        let (Event::Start(Tag::Link { dest_url, .. }) | Event::Start(Tag::Image { dest_url, .. })) =
            event
        else {
            continue;
        };
        // `a::b` is a name that rustdoc resolves.
        let is_elsewhere = ["https:", "http:", "mailto:"]
            .iter()
            .any(|start| dest_url.starts_with(start));
        if !is_elsewhere && !dest_url.contains("::") && !dest_url.is_empty() {
            let before = text.get(..range.start).unwrap_or_default();
            found.push((before.matches('\n').count() + 1, dest_url.into_string()));
        }
    }
    found
}

/// Returns what is wrong with a link, if anything is.
fn wrong(tree: &SourceTree, file: &SourceFile, target: &str) -> Option<String> {
    let (path, heading) = match target.split_once('#') {
        Some((path, heading)) => (path, Some(heading)),
        None => (target, None),
    };
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let place = if path.is_empty() {
        file.path.clone()
    } else {
        normal(&folder.join(path))
    };
    if !tree.root().join(&place).exists() {
        return Some(format!(
            "the link `{target}` leads nowhere (there is no `{place}`)"
        ));
    }
    let heading = heading?;
    let text = &tree.get(&place)?.text;
    (!headings(text).iter().any(|known| known == heading))
        .then(|| format!("the link `{target}` names a heading that `{place}` does not have"))
}

/// Returns a path without `.` and `..`.
fn normal(path: &Path) -> String {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                parts.pop();
            }
            std::path::Component::Normal(part) => parts.push(part.to_string_lossy()),
            _ => {}
        }
    }
    parts.join("/")
}

/// Returns the anchors of a text's headings, as the usual viewers make them.
fn headings(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut current: Option<String> = None;
    for event in Parser::new_ext(text, Options::all()) {
        match event {
            Event::Start(Tag::Heading { .. }) => current = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => anchors.extend(current.take()),
            Event::Text(words) | Event::Code(words) => {
                if let Some(current) = &mut current {
                    let words = words.to_lowercase();
                    let kept = words.chars().filter_map(|letter| match letter {
                        ' ' => Some('-'),
                        letter if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
                        _ => None,
                    });
                    current.extend(kept);
                }
            }
            _ => {}
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::tree;

    #[test]
    fn links_to_files_and_headings_that_are_not_there_are_found() {
        let page = "# A title, `code`\n\n[a](b.md) [b](../x.rs) [c](b.md#one-two)\n\
            [d](#a-title-code) [e](https://e.f) [f](crate::g)\n\n\
            [g](missing.md) [h](b.md#three)\n\n```\n[i](j.md)\n```\n";
        let (_folder, tree) = tree(&[
            ("docs/a.md", page),
            ("docs/b.md", "## One two\n"),
            ("x.rs", ""),
        ]);
        let found = links(&tree);
        assert_eq!(found.violations.len(), 2, "{:?}", found.violations);
        assert!(found.violations[0].starts_with("docs/a.md:6: the link `missing.md`"));
        assert!(found.violations[1].contains("`b.md#three` names a heading"));
        assert!(found.summary.starts_with("6 links"), "{}", found.summary);
    }
}
