//! A copy of the workspace that may be changed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use ignore::WalkBuilder;

/// Makes `to` a fresh copy of what git would see in `from`.
///
/// The copy is written anew each time: cargo names a package by its place inside its workspace, so
/// copies that share a target folder differ for it only by files newer than its last build.
pub(crate) fn fresh(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        // Never remove a folder that is not one of our copies.
        ensure!(
            to.join("Cargo.toml").is_file() || is_empty(to)?,
            "{} is no copy of the workspace",
            to.display()
        );
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    let (root, copy) = (from.to_owned(), to.to_owned());
    let files = WalkBuilder::new(from)
        .hidden(false)
        .require_git(false)
        // Only the workspace's own .gitignore files count, not what a parent folder or a user's
        // settings say.
        .parents(false)
        .git_global(false)
        .git_exclude(false)
        .ignore(false)
        // The copy is not copied into itself, wherever the target folder lies.
        .filter_entry(move |entry| {
            entry.file_name() != ".git" && (entry.path() == root || !copy.starts_with(entry.path()))
        })
        .build();
    for file in files {
        let file = file.context("cannot list the workspace")?;
        if !file.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let relative = file
            .path()
            .strip_prefix(from)
            .context("a file lies outside the workspace")?;
        let copy = to.join(relative);
        if let Some(parent) = copy.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        // Read and write: a copied file must be newer than the last build.
        let bytes = fs::read(file.path())
            .with_context(|| format!("cannot read {}", file.path().display()))?;
        fs::write(&copy, bytes).with_context(|| format!("cannot write {}", copy.display()))?;
    }
    Ok(())
}

fn is_empty(dir: &Path) -> Result<bool> {
    let mut entries = dir
        .read_dir()
        .with_context(|| format!("cannot list {}", dir.display()))?;
    Ok(entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_ignores_is_left_out() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("Cargo.toml", "x"),
            (".gitignore", "/target/\n"),
            (".cargo/c", "y"),
            ("target/big", "z"),
            (".git/HEAD", "h"),
        ] {
            let path = from.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let copy = to.path().join("copy");
        for _ in 0..2 {
            fresh(from.path(), &copy).unwrap();
            assert_eq!(fs::read_to_string(copy.join(".cargo/c")).unwrap(), "y");
            assert!(!copy.join("target").exists() && !copy.join(".git").exists());
            fs::write(copy.join("stray"), "").unwrap();
        }
        fresh(from.path(), &copy).unwrap();
        assert!(!copy.join("stray").exists());
    }

    #[test]
    fn ignore_files_of_others_do_not_count() {
        let outer = tempfile::tempdir().unwrap();
        let from = outer.path().join("from");
        fs::create_dir_all(from.join(".git/info")).unwrap();
        fs::write(outer.path().join(".gitignore"), "*.rs\n").unwrap();
        fs::write(from.join(".ignore"), "*.rs\n").unwrap();
        fs::write(from.join(".git/info/exclude"), "*.rs\n").unwrap();
        fs::write(from.join("lib.rs"), "").unwrap();
        let copy = outer.path().join("copy");
        fresh(&from, &copy).unwrap();
        assert!(copy.join("lib.rs").exists());
    }

    #[test]
    fn a_strange_folder_is_not_removed() {
        let to = tempfile::tempdir().unwrap();
        fs::write(to.path().join("precious"), "").unwrap();
        assert!(fresh(Path::new("/nowhere"), to.path()).is_err());
        assert!(to.path().join("precious").exists());
    }
}
