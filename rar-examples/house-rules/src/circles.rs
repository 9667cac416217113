//! No more than two files import each other in a circle.

use std::collections::BTreeMap;

use anyhow::Result;
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use crate::Findings;
use crate::exceptions::CIRCLES;
use crate::files::SourceTree;
use crate::imports::{Ties, ties};
use crate::modules::Crate;

/// A type and its helper may name each other. More files than these are a knot: no file can be read
/// first.
const MAX_FILES: usize = 2;

/// How many names of a tie a message shows.
const SHOWN: usize = 4;

/// Checks all crates of the tree.
///
/// # Errors
///
/// A source file that is not valid Rust.
pub fn circles(tree: &SourceTree) -> Result<Findings> {
    let mut violations = Vec::new();
    let (mut crates, mut pairs) = (0, 0);
    for root in roots(tree) {
        let Some(read) = Crate::read(tree, root)? else {
            continue;
        };
        crates += 1;
        let ties = ties(&read);
        for circle in found(&ties) {
            if circle.len() <= MAX_FILES {
                pairs += 1;
            } else if !CIRCLES.iter().any(|(known, _)| circle.contains(known)) {
                violations.push(describe(&circle, &ties));
            }
        }
    }
    Ok(Findings {
        violations,
        summary: format!(
            "{crates} crates without a circle of more than {MAX_FILES} files ({pairs} pairs)"
        ),
    })
}

/// Returns the root files of libraries and programs.
fn roots(tree: &SourceTree) -> impl Iterator<Item = &str> {
    tree.of("rs").map(|file| file.path.as_str()).filter(|path| {
        path.ends_with("/src/lib.rs")
            || path.ends_with("/src/main.rs")
            || path.contains("/src/bin/") && path.matches('/').count() == bin_depth(path)
    })
}

/// Returns how many `/` a program directly in the `src/bin` of this path has.
fn bin_depth(path: &str) -> usize {
    path.split_once("/src/bin/")
        .map_or(0, |(above, _)| above.matches('/').count() + 3)
}

/// Returns the circles of files, each sorted, the longest first.
fn found(ties: &Ties) -> Vec<Vec<&str>> {
    let mut graph = DiGraph::<&str, ()>::new();
    let mut nodes = BTreeMap::new();
    for (from, to) in ties.keys() {
        let [from, to] = [from, to].map(|file| {
            *nodes
                .entry(file.as_str())
                .or_insert_with(|| graph.add_node(file.as_str()))
        });
        graph.update_edge(from, to, ());
    }
    let mut circles: Vec<Vec<&str>> = tarjan_scc(&graph)
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .map(|circle| {
            let mut files: Vec<_> = circle
                .iter()
                .filter_map(|node| graph.node_weight(*node))
                .copied()
                .collect();
            files.sort_unstable();
            files
        })
        .collect();
    circles.sort_by_key(|circle| core::cmp::Reverse(circle.len()));
    circles
}

fn describe(circle: &[&str], ties: &Ties) -> String {
    let mut text = format!("{} files import each other in a circle:", circle.len());
    for ((from, to), names) in ties {
        if circle.contains(&from.as_str()) && circle.contains(&to.as_str()) {
            // A name alone was brought in by a path.
            let (short, long): (Vec<&str>, Vec<&str>) = names
                .iter()
                .map(String::as_str)
                .partition(|name| !name.contains("::"));
            let names = if long.is_empty() { short } else { long };
            let mut shown: Vec<_> = names.iter().take(SHOWN).copied().collect();
            if names.len() > SHOWN {
                shown.push("...");
            }
            text.push_str(&format!("\n    {from} -> {to}: {}", shown.join(", ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::tree;

    const ROOT: (&str, &str) = ("x/src/lib.rs", "mod a;\nmod b;\nmod c;\npub use b::B;\n");

    #[test]
    fn a_circle_of_three_is_found_with_its_ties() {
        let (_folder, tree) = tree(&[
            ROOT,
            (
                "x/src/a.rs",
                "use crate::B;\npub struct A;\nfn f(_: B) {}\n",
            ),
            ("x/src/b.rs", "pub struct B(crate::c::C);\n"),
            ("x/src/c.rs", "use super::a;\npub struct C(a::A);\n"),
        ]);
        let found = circles(&tree).unwrap().violations;
        assert_eq!(found.len(), 1, "{found:?}");
        for tie in [
            "3 files",
            "x/src/a.rs -> x/src/b.rs: crate::B",
            "x/src/b.rs -> x/src/c.rs: crate::c::C",
            "x/src/c.rs -> x/src/a.rs: ",
        ] {
            assert!(found[0].contains(tie), "{tie}: {}", found[0]);
        }
    }

    #[test]
    fn two_files_tests_and_mod_lines_are_no_circle() {
        let (_folder, tree) = tree(&[
            ROOT,
            ("x/src/a.rs", "use crate::b::B;\npub struct A;\n"),
            ("x/src/b.rs", "pub struct B(crate::a::A);\n"),
            (
                "x/src/c.rs",
                "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
            ),
        ]);
        let found = circles(&tree).unwrap();
        assert!(found.violations.is_empty(), "{:?}", found.violations);
        assert!(found.summary.contains("1 crates"), "{}", found.summary);
        assert!(found.summary.contains("(1 pairs)"), "{}", found.summary);
    }

    #[test]
    fn names_in_macros_globs_and_renames_tie() {
        let (_folder, tree) = tree(&[
            ROOT,
            (
                "x/src/a.rs",
                "fn f() { println!(\"{}\", crate::b::N); }\npub struct A;\n",
            ),
            (
                "x/src/b.rs",
                "use crate::c::*;\npub const N: u8 = M;\npub struct B;\n",
            ),
            (
                "x/src/c.rs",
                "use crate::a::A as Other;\npub const M: u8 = 1;\npub struct C(Other);\n",
            ),
        ]);
        let found = circles(&tree).unwrap().violations;
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
