//! The files that the rules read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ignore::WalkBuilder;

/// A text file of the repository.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path from the root, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl SourceFile {
    /// Returns whether the name ends in `.extension`.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        self.path
            .strip_suffix(extension)
            .is_some_and(|stem| stem.ends_with('.'))
    }
}

/// The Rust, C and Markdown files of a repository, and the paths of all its files.
#[derive(Clone, Debug, Default)]
pub struct SourceTree {
    files: Vec<SourceFile>,
    root: PathBuf,
}

impl SourceTree {
    /// Reads the files below `root`, without those that git ignores.
    ///
    /// # Errors
    ///
    /// A folder or file that cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for entry in WalkBuilder::new(root)
            .hidden(false)
            .require_git(false)
            .build()
        {
            let entry = entry.context("cannot list the workspace")?;
            let path = entry.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            let is_text = matches!(extension, Some("rs" | "md" | "c" | "h"));
            let relative = path.strip_prefix(root).unwrap_or(path);
            if !is_text || relative.starts_with(".git") || relative.starts_with("target") {
                continue;
            }
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            files.push(SourceFile {
                path: relative.to_string_lossy().into_owned(),
                text,
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self {
            files,
            root: root.to_owned(),
        })
    }

    /// Returns all files, in the order of their paths.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Returns the files whose names end in `.extension`.
    pub fn of(&self, extension: &str) -> impl Iterator<Item = &SourceFile> {
        self.files
            .iter()
            .filter(move |file| file.has_extension(extension))
    }

    /// Returns the file at a path from the root.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&SourceFile> {
        let at = self
            .files
            .binary_search_by(|file| file.path.as_str().cmp(path));
        self.files.get(at.ok()?)
    }

    /// Returns the folder that was read.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tempfile::TempDir;

    /// Writes files and reads them back.
    pub(crate) fn tree(files: &[(&str, &str)]) -> (TempDir, SourceTree) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tree = SourceTree::read(folder.path()).unwrap();
        (folder, tree)
    }

    #[test]
    fn rust_and_markdown_are_read_and_the_rest_is_not() {
        let (_folder, tree) = tree(&[
            ("a/b.rs", ""),
            ("c.md", "text"),
            ("d.txt", ""),
            ("target/e.rs", ""),
            (".git/f.md", ""),
        ]);
        let paths: Vec<_> = tree.files().iter().map(|file| &*file.path).collect();
        assert_eq!(paths, ["a/b.rs", "c.md"]);
        assert_eq!(tree.get("c.md").unwrap().text, "text");
        assert_eq!(tree.of("rs").count(), 1);
    }
}
