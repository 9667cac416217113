//! Where the logs of runs go.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::outln;

/// Where the logs of runs go.
#[derive(Debug)]
pub enum Logs {
    /// Into a folder that ends with this value.
    Temporary(TempDir),
    /// Into a folder that stays.
    Kept(PathBuf),
}

impl Logs {
    /// Returns logs in this folder.
    ///
    /// # Errors
    ///
    /// The folder cannot be created.
    pub fn kept(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create the log folder {}", dir.display()))?;
        Ok(Self::Kept(dir))
    }

    /// Returns logs that end with the run.
    ///
    /// # Errors
    ///
    /// There is no place for temporary files.
    pub fn temporary() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("rar-qemu-").tempdir();
        Ok(Self::Temporary(
            dir.context("cannot create a folder for temporary files")?,
        ))
    }

    /// Returns the folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }

    /// Prints where the logs are, if they stay.
    pub fn announce(&self) {
        if let Self::Kept(dir) = self {
            outln!("logs are in {}", dir.display());
        }
    }
}
