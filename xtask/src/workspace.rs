//! Where things are, and what packages there are.

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::path::{Path, PathBuf};

/// The four crates that are published.
pub(crate) const LIBRARIES: [&str; 4] = ["rar-regs", "rar-payload", "rar-percpu", "rar-shootdown"];

/// The feature that turns a package into (a part of) a kernel.
pub(crate) const FREESTANDING: &str = "freestanding";

/// A workspace: this one, or a changed copy of it.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// The folder with the root manifest.
    pub(crate) root: PathBuf,
    /// The target folder of host builds; other builds have folders inside it.
    pub(crate) target: PathBuf,
    metadata: Metadata,
}

impl Workspace {
    /// Returns the workspace that xtask runs for.
    pub(crate) fn this() -> Result<Self> {
        // Two checkouts may share a target folder, so the place of the build may be the other one.
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        Self::at(xtask.parent().context("xtask lies in no workspace")?)
    }

    /// Returns the workspace at `root`.
    pub(crate) fn at(root: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .with_context(|| format!("cargo cannot read the workspace at {}", root.display()))?;
        Ok(Self {
            root: root.to_owned(),
            target: metadata.target_directory.clone().into(),
            metadata,
        })
    }

    /// Returns the packages of the workspace.
    pub(crate) fn packages(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// Returns the package of that name.
    pub(crate) fn package(&self, name: &str) -> Result<&Package> {
        self.packages()
            .into_iter()
            .find(|package| package.name.as_str() == name)
            .with_context(|| format!("the workspace has no package `{name}`"))
    }

    /// Returns the packages that make up kernels: those with the feature `freestanding`.
    pub(crate) fn freestanding(&self) -> Vec<&Package> {
        self.packages()
            .into_iter()
            .filter(|package| package.features.contains_key(FREESTANDING))
            .collect()
    }

    /// Returns the kernels: freestanding packages with a program.
    pub(crate) fn kernels(&self) -> Vec<&Package> {
        self.freestanding()
            .into_iter()
            .filter(|package| package.targets.iter().any(|t| t.is_bin()))
            .collect()
    }

    /// Returns the folder of the sabotage patches.
    pub(crate) fn sabotage(&self) -> PathBuf {
        self.root.join("rar-examples/sabotage")
    }
}
