//! The layering: which crate may know which, how much a crate may pull in, and what may lie at the
//! top.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Package};
use rar_harness::cargo::cargo;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::workspace::{FREESTANDING, LIBRARIES, Workspace};

/// What each crate may know of this workspace. The RAR unit in software has its own decoder, so
/// that a mistake in `rar-payload` cannot hide in both.
const ARROWS: [(&str, &[&str]); 13] = [
    ("rar-regs", &[]),
    ("rar-payload", &[]),
    ("rar-percpu", &["rar-regs", "rar-payload"]),
    ("rar-shootdown", &["rar-regs", "rar-payload", "rar-percpu"]),
    ("rar-model", &[]),
    ("rar-vrar", &["rar-model", "rar-vocabulary"]),
    ("rar-vocabulary", &[]),
    ("rar-report", &["rar-vocabulary"]),
    ("rar-kernel", &["rar-regs", "rar-percpu", "rar-shootdown"]),
    ("rar-probe", &["rar-regs"]),
    ("rar-minimal", &["rar-kernel", "rar-shootdown"]),
    ("rar-launch", &["rar-kernel", "rar-vrar"]),
    ("rar-carrier", &["rar-kernel", "rar-launch", "rar-vrar"]),
];

/// Crates that must stay easy to adopt, and how many crates they may pull in.
pub(crate) const LIGHT: [&str; 2] = ["rar-payload", "rar-regs"];
pub(crate) const MOST_DEPENDENCIES: usize = 5;

/// The feature of stand-ins for tests, which forge what unsafe contracts protect. No kernel may
/// have it.
const FORGING: &str = "fake";

/// What may lie at the top: the entries of the layout, then the usual files.
const TOP: [&str; 24] = [
    "Cargo.toml",
    "rar-regs",
    "rar-payload",
    "rar-percpu",
    "rar-shootdown",
    "rar-examples",
    "xtask",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    ".ci",
    ".cargo",
    ".git",
    ".gitignore",
    ".gitattributes",
    "rustfmt.toml",
    "clippy.toml",
    "deny.toml",
    "target",
];

/// Checks every arrow; returns what was checked.
///
/// # Errors
///
/// A crate that knows what it must not, brings too much, or an entry that does not belong at the
/// top.
pub fn check(workspace: &Workspace, verbosity: Verbosity) -> Result<String> {
    let packages = workspace.packages();
    let members: BTreeSet<_> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut violations = Vec::new();
    for (name, allowed) in ARROWS {
        violations.extend(wrong_arrows(workspace.package(name)?, allowed, &members));
    }
    violations.extend(wrong_entries(&workspace.root)?);
    let mut notes = Vec::new();
    for name in LIGHT {
        let tree = cargo(&workspace.root, &workspace.target, "tree")?
            .args([
                "--package",
                name,
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--format",
                "{p}",
            ])
            .require(verbosity)?;
        let below = dependencies(&tree.stdout);
        notes.push(format!("{name} pulls in {}", below.len()));
        if below.len() > MOST_DEPENDENCIES {
            let all = below.into_iter().collect::<Vec<_>>().join(", ");
            violations.push(format!(
                "{name} pulls in more than {MOST_DEPENDENCIES} crates: {all}"
            ));
        }
    }
    let kernels = workspace.kernels();
    let alone = LIBRARIES.map(|name| (name, None));
    let built = kernels
        .iter()
        .map(|package| (package.name.as_str(), Some(FREESTANDING)));
    for (name, feature) in alone.into_iter().chain(built) {
        let tree = cargo(&workspace.root, &workspace.target, "tree")?
            .args(["--package", name, "--edges", "normal"])
            .args(["--prefix", "none", "--format", "{p}|{f}|"])
            .args(feature.iter().flat_map(|feature| ["--features", feature]))
            .require(verbosity)?;
        let forged = crates_with_feature(&tree.stdout, FORGING);
        violations.extend(forged.iter().map(|below| {
            format!("{name} is built with the feature `{FORGING}` of {below}, which is for tests")
        }));
    }
    if violations.is_empty() {
        return Ok(format!(
            "{} crates keep their arrows; {}; {} kernels without `{FORGING}`",
            ARROWS.len(),
            notes.join(", "),
            kernels.len()
        ));
    }
    Err(Fault::new(Reason::Failed, violations.join("\n")).into())
}

fn wrong_arrows(package: &Package, allowed: &[&str], members: &BTreeSet<&str>) -> Vec<String> {
    let known = package
        .dependencies
        .iter()
        .filter(|dependency| members.contains(dependency.name.as_str()));
    known
        .filter(|dependency| {
            let name = dependency.name.as_str();
            let test_only = dependency.kind == DependencyKind::Development;
            // How a library's own tests turn its feature `fake` on.
            let is_itself = package.name == name && test_only;
            !allowed.contains(&name) && !is_itself
        })
        .map(|dependency| {
            let kind = dependency.kind;
            format!(
                "{} must not know {} ({kind} dependency)",
                package.name, dependency.name
            )
        })
        .collect()
}

fn wrong_entries(root: &Path) -> Result<Vec<String>> {
    let entries = root
        .read_dir()
        .with_context(|| format!("cannot list {}", root.display()))?;
    let mut wrong = Vec::new();
    for entry in entries {
        let name = entry.context("cannot list the workspace")?.file_name();
        if !TOP.iter().any(|allowed| name == *allowed) {
            wrong.push(format!(
                "{} must not lie at the top of the workspace",
                name.display()
            ));
        }
    }
    Ok(wrong)
}

/// Returns the distinct crates of a `cargo tree --prefix none`, its root left out.
pub(crate) fn dependencies(tree: &str) -> BTreeSet<String> {
    let name = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let mut lines = tree.lines();
    let root = lines.next().and_then(name);
    lines
        .filter_map(name)
        .filter(|found| Some(found) != root.as_ref())
        .collect()
}

/// Returns the crates that are built with a feature, of a
/// `cargo tree --prefix none --format {p}|{f}|`.
fn crates_with_feature<'t>(tree: &'t str, feature: &str) -> BTreeSet<&'t str> {
    let has_it = |line: &&str| {
        let features = line.split('|').nth(1).unwrap_or_default();
        features.split(',').any(|each| each == feature)
    };
    let name = |line: &'t str| line.split_whitespace().next();
    tree.lines().filter(has_it).filter_map(name).collect()
}

/// Returns the crates of this workspace other than `name` among `dependencies`.
pub(crate) fn relatives<'a>(dependencies: &'a BTreeSet<String>, name: &str) -> Vec<&'a str> {
    let others = dependencies
        .iter()
        .map(String::as_str)
        .filter(|other| *other != name);
    others
        .filter(|other| LIBRARIES.contains(other) || other.starts_with("rar-"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies: Vec<_> = dependencies
            .iter()
            .map(|(name, kind)| {
                json!({ "name": name, "source": null, "req": "*", "kind": kind, "optional": true,
                    "uses_default_features": true, "features": [], "target": null,
                    "rename": null, "registry": null })
            })
            .collect();
        serde_json::from_value(json!({
            "name": name, "version": "0.1.0", "id": "x", "dependencies": dependencies,
            "targets": [], "features": {}, "manifest_path": "/Cargo.toml", "edition": "2024",
        }))
        .unwrap()
    }

    fn wrong(name: &str, dependencies: &[(&str, Option<&str>)]) -> Vec<String> {
        let members = BTreeSet::from([
            "rar-regs",
            "rar-payload",
            "rar-percpu",
            "rar-shootdown",
            "rar-model",
        ]);
        wrong_arrows(
            &package(name, dependencies),
            &["rar-regs", "rar-payload"],
            &members,
        )
    }

    #[test]
    fn arrows_point_one_way() {
        let percpu = "rar-percpu";
        assert!(wrong(percpu, &[("rar-regs", None), ("x86", None)]).is_empty());
        for bad in [
            ("rar-shootdown", None),
            ("rar-model", None),
            ("rar-model", Some("dev")),
            ("rar-shootdown", Some("dev")),
            ("rar-model", Some("build")),
        ] {
            let found = wrong(percpu, &[("rar-regs", None), bad]);
            assert_eq!(found.len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn the_model_and_its_tests_know_no_driver() {
        assert_eq!(
            wrong("rar-model", &[("rar-shootdown", Some("dev"))]).len(),
            1
        );
        assert_eq!(wrong("rar-model", &[("rar-shootdown", None)]).len(), 1);
    }

    #[test]
    fn a_tree_is_counted_once_per_crate() {
        let tree = "rar-regs v0.1.0 (/x)\nbit_field v0.10.3\nx86 v0.52.0\nbit_field v0.10.3 (*)\n";
        assert_eq!(
            dependencies(tree),
            BTreeSet::from(["bit_field".to_owned(), "x86".to_owned()])
        );
        let with_relative = dependencies("rar-percpu v0.1.0\nrar-regs v0.1.0\nx86 v0.52.0\n");
        assert_eq!(relatives(&with_relative, "rar-percpu"), ["rar-regs"]);
    }

    #[test]
    fn a_feature_is_found_by_its_whole_name() {
        let tree = "rar-sim v0.1.0 (/x)||\nrar-percpu v0.1.0 (/y)|defmt,fake|\n\
                    rar-percpu v0.1.0 (/y)|defmt,fake| (*)\n\
                    rar-regs v0.1.0 (/fake)|faker|\nx86 v0.52.0|default|\n";
        let found = crates_with_feature(tree, FORGING);
        assert_eq!(found, BTreeSet::from(["rar-percpu"]));
    }

    #[test]
    fn strangers_at_the_top_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
        assert!(wrong_entries(dir.path()).unwrap().is_empty());
        std::fs::write(dir.path().join("notes.txt"), "").unwrap();
        assert!(
            wrong_entries(dir.path())
                .unwrap()
                .first()
                .unwrap()
                .contains("notes.txt")
        );
    }
}
