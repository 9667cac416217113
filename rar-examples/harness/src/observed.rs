//! Builds in which the simulator sees every access of the driver to shared memory.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::{cargo, with_rustflags};
use crate::process::Cmd;
use crate::workspace::Workspace;

/// The simulator sees every access of the driver to shared memory, and stops CPUs between any two.
pub const OBSERVED: &[&str] = &["--cfg", "rar_observed"];

/// The profile in the root manifest, and the name of its folder.
pub const PROFILE: &str = "observed";

/// Returns a call of cargo that builds with the simulator watching.
///
/// # Errors
///
/// The target folder cannot be written.
pub fn call(workspace: &Workspace, subcommand: &str) -> Result<Cmd> {
    let cmd = cargo(&workspace.root, &target(workspace), subcommand)?;
    Ok(with_rustflags(cmd, OBSERVED))
}

/// A folder of its own: other flags would build everything again.
#[must_use]
pub fn target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("observed")
}
