//! Where things are, and what packages there are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The four crates that are published.
pub const LIBRARIES: [&str; 4] = ["rar-regs", "rar-payload", "rar-percpu", "rar-shootdown"];

/// The feature that turns a package into (a part of) a kernel.
pub const FREESTANDING: &str = "freestanding";

/// A workspace: this one, or a changed copy of it.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder with the root manifest.
    pub root: PathBuf,
    /// The target folder of host builds; other builds have folders inside it.
    pub target: PathBuf,
    metadata: Metadata,
}

impl Workspace {
    /// Returns the workspace of the package that cargo runs.
    ///
    /// # Errors
    ///
    /// cargo cannot read the workspace.
    pub fn this() -> Result<Self> {
        // Two checkouts may share a target folder, so the place of the build may be the other one.
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        Self::at(&package)
    }

    /// Returns the workspace that holds the package or workspace in `folder`.
    ///
    /// # Errors
    ///
    /// cargo cannot read the workspace.
    pub fn at(folder: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .manifest_path(folder.join("Cargo.toml"))
            .no_deps()
            .exec()
            .with_context(|| format!("cargo cannot read the workspace at {}", folder.display()))?;
        Ok(Self {
            root: metadata.workspace_root.clone().into(),
            target: metadata.target_directory.clone().into(),
            metadata,
        })
    }

    /// Returns the packages of the workspace.
    pub fn packages(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// Returns the package of that name.
    ///
    /// # Errors
    ///
    /// The workspace has no such package.
    pub fn package(&self, name: &str) -> Result<&Package> {
        self.packages()
            .into_iter()
            .find(|package| package.name.as_str() == name)
            .with_context(|| format!("the workspace has no package `{name}`"))
    }

    /// Returns the packages that make up kernels: those with the feature `freestanding`.
    pub fn freestanding(&self) -> Vec<&Package> {
        self.packages()
            .into_iter()
            .filter(|package| package.features.contains_key(FREESTANDING))
            .collect()
    }

    /// Returns the kernels: freestanding packages with a program.
    pub fn kernels(&self) -> Vec<&Package> {
        self.freestanding()
            .into_iter()
            .filter(|package| package.targets.iter().any(|t| t.is_bin()))
            .collect()
    }

    /// Returns the folder of the sabotage patches.
    pub fn sabotage(&self) -> PathBuf {
        self.root.join("rar-examples/sabotage")
    }
}
