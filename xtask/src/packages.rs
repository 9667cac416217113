//! The four packages as they would be published: what they hold, that they build, and that their
//! tests pass without this repository.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use pulldown_cmark::{BrokenLink, CowStr, Event, Options, Parser, Tag};
use rar_harness::cargo::cargo;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Verbosity, utf8};
use rar_harness::test_output;
use rar_harness::workspace::{LIBRARIES, Workspace};
use rar_vocabulary::Counts;

use crate::msrv::features_under_test;

/// What each package must hold. Both licences ask for their text to travel with the code.
const FILES: [&str; 6] = [
    "Cargo.toml",
    "src/lib.rs",
    README,
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];
const README: &str = "README.md";

/// The settings of the root manifest, so that dependencies are built once for both workspaces.
const PROFILE: &str = "[profile.dev]\ndebug = \"line-tables-only\"\n\n\
    [profile.dev.package.\"*\"]\ndebug = false\n\n\
    [profile.dev.build-override]\ndebug = false\n";

/// Packs the four crates, checks what is inside, and builds them from their packages; returns what
/// was seen.
pub(crate) fn check(workspace: &Workspace, verbosity: Verbosity) -> Result<String> {
    let root = unpacked(workspace, verbosity)?;
    let mut wrong = Vec::new();
    for name in LIBRARIES {
        let folder = root.join(name);
        let missing = FILES.iter().filter(|file| !folder.join(file).is_file());
        wrong.extend(missing.map(|file| format!("{name}: the package has no {file}")));
        if let Ok(text) = fs::read_to_string(folder.join(README)) {
            wrong.extend(
                dead_links(&text)
                    .into_iter()
                    .map(|link| format!("{name}/{README}: {link}")),
            );
        }
    }
    if !wrong.is_empty() {
        return Err(Fault::new(Reason::Failed, wrong.join("\n")).into());
    }
    for features in [&[][..], &["--all-features"]] {
        cargo(&root, &workspace.target, "build")?
            .arg("--workspace")
            .args(features.iter().copied())
            .require(verbosity)?;
    }
    Ok(format!(
        "{} packages hold what they must and build",
        LIBRARIES.len()
    ))
}

/// Runs the tests that are in the packages; returns the count and what went wrong.
pub(crate) fn tests(
    workspace: &Workspace,
    verbosity: Verbosity,
) -> Result<(Counts, Option<anyhow::Error>)> {
    let root = unpacked(workspace, verbosity)?;
    let captured = cargo(&root, &workspace.target, "test")?
        .args(["--workspace", "--no-fail-fast", "--features"])
        .arg(features_under_test(workspace)?.join(","))
        // These look for the other crates where the repository has them, and compare paths in
        // messages of the compiler.
        .args(["--", "--skip", "forged::"])
        .capture(verbosity)?;
    let failure = (!captured.status.success()).then(|| {
        let what = if verbosity.is_verbose() {
            "tests of the packages fail"
        } else {
            captured.both.trim_end()
        };
        Fault::new(Reason::Failed, what).into()
    });
    Ok((test_output::count(&captured.stdout), failure))
}

/// Packs the crates and unpacks them into a workspace of their own; returns its folder.
fn unpacked(workspace: &Workspace, verbosity: Verbosity) -> Result<PathBuf> {
    let above = workspace.target.join("packages");
    // In one call, since they need each other; of a changed checkout, too.
    let pack = cargo(&workspace.root, &above, "package")?
        .args(["--no-verify", "--allow-dirty"])
        .args(LIBRARIES.iter().flat_map(|name| ["--package", name]));
    // The index of the registry is asked only if what is on this machine is not enough.
    let offline = pack.clone().arg("--offline").capture(verbosity)?;
    if !offline.status.success() {
        pack.require(verbosity)?;
    }
    let root = above.join("unpacked");
    let mut manifest =
        format!("[workspace]\nresolver = \"3\"\nmembers = {LIBRARIES:?}\n\n{PROFILE}\n");
    manifest.push_str("[patch.crates-io]\n");
    for name in LIBRARIES {
        manifest.push_str(&format!("{name} = {{ path = \"{name}\" }}\n"));
        let version = &workspace.package(name)?.version;
        let package = above.join(format!("package/{name}-{version}.crate"));
        unpack(&package, &root.join(name), verbosity)?;
    }
    let write = || {
        fs::write(root.join("Cargo.toml"), manifest)?;
        // The same versions as inside.
        fs::copy(workspace.root.join("Cargo.lock"), root.join("Cargo.lock"))
    };
    write().with_context(|| format!("cannot write {}", root.display()))?;
    Ok(root)
}

/// Unpacks the package unless that was done. The files in a package are all equally old, so cargo
/// would not see that one changed.
fn unpack(package: &Path, folder: &Path, verbosity: Verbosity) -> Result<()> {
    let done = folder.with_extension("crate");
    let new = fs::read(package).with_context(|| format!("cannot read {}", package.display()))?;
    if fs::read(&done).is_ok_and(|old| old == new) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    rar_harness::process::Cmd::new("tar")
        .args(["-xzmf", utf8(package)?, "--strip-components=1", "-C"])
        .arg(utf8(folder)?)
        .require(verbosity)?;
    fs::write(&done, new).with_context(|| format!("cannot write {}", done.display()))
}

/// Returns the links of a README that lead nowhere where packages are shown: those that only
/// rustdoc resolves, and those into the repository.
fn dead_links(text: &str) -> Vec<String> {
    let dead = RefCell::new(Vec::new());
    let broken = |link: BrokenLink<'_>| {
        let line = text
            .get(..link.span.start)
            .map_or(0, |before| before.matches('\n').count() + 1);
        dead.borrow_mut().push(format!(
            "line {line}: [{}] is defined nowhere; add `[{0}]: https://...`",
            link.reference
        ));
        None::<(CowStr<'_>, CowStr<'_>)>
    };
    let events = Parser::new_with_broken_link_callback(text, Options::all(), Some(broken))
        .into_offset_iter();
    for (event, range) in events {
        let (Event::Start(Tag::Link { dest_url, .. }) | Event::Start(Tag::Image { dest_url, .. })) =
            event
        else {
            continue;
        };
        if !["https://", "http://", "#"]
            .iter()
            .any(|start| dest_url.starts_with(start))
        {
            let line = text
                .get(..range.start)
                .map_or(0, |before| before.matches('\n').count() + 1);
            dead.borrow_mut().push(format!(
                "line {line}: `{dest_url}` leads nowhere outside the repository"
            ));
        }
    }
    dead.into_inner()
}

/// Returns the links in the libraries' README files to documentation of theirs that rustdoc did not
/// make.
pub(crate) fn links_without_page(workspace: &Workspace) -> Result<Vec<String>> {
    let mut dead = Vec::new();
    for name in LIBRARIES {
        let readme = workspace.root.join(name).join(README);
        let text = fs::read_to_string(&readme)
            .with_context(|| format!("cannot read {}", readme.display()))?;
        let lost = pages(&text)
            .into_iter()
            .filter(|page| !workspace.target.join("doc").join(page).is_file());
        dead.extend(lost.map(|page| format!("{name}/{README}: docs.rs will not have {page}")));
    }
    Ok(dead)
}

/// Returns the pages of the libraries' documentation that a README links to, as rustdoc names their
/// files.
fn pages(text: &str) -> Vec<String> {
    let mut pages = Vec::new();
    for event in Parser::new_ext(text, Options::all()) {
        let Event::Start(Tag::Link { dest_url, .. }) = event else {
            continue;
        };
        let page = dest_url
            .strip_prefix("https://docs.rs/")
            .and_then(|rest| rest.split_once("/latest/"))
            .filter(|(package, _)| LIBRARIES.contains(package));
        if let Some((_, page)) = page {
            let file = page.split('#').next().unwrap_or(page);
            let index = if file.ends_with('/') {
                "index.html"
            } else {
                ""
            };
            pages.push(format!("{file}{index}"));
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_as_rustdoc_does() {
        let text = "[a](https://docs.rs/rar-regs/latest/rar_regs/struct.A.html#method.b) [b][b] \
            [c](https://docs.rs/x86/latest/x86/struct.C.html)\n\n\
            [b]: https://docs.rs/rar-percpu/latest/rar_percpu/\n";
        assert_eq!(
            pages(text),
            ["rar_regs/struct.A.html", "rar_percpu/index.html"]
        );
    }

    #[test]
    fn links_must_work_where_packages_are_shown() {
        let good = "[`Domain`] and [text](https://a.b/c), `[not]` a link, [below](#below).\n\n\
            ```\nlet x = [1];\n```\n\n\
            [`Domain`]: https://docs.rs/rar-percpu/latest/rar_percpu/struct.Domain.html\n";
        assert_eq!(dead_links(good), [""; 0]);
        let bad = "A\n\n[`Domain`] and\n[guide](../docs/porting.md) or [`a`](crate::a).\n";
        let found = dead_links(bad);
        assert_eq!(found.len(), 3, "{found:?}");
        let all = found.join("\n");
        for part in [
            "line 3: [`Domain`]",
            "line 4: `../docs/porting.md`",
            "`crate::a`",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }
}
