//! `cargo xtask report`: pages of what validation runs found.

use crate::cargo::cargo;
use crate::cli::PassedOn;
use crate::command::Shell;
use crate::progress::Step;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// Replaces this process by the program, with the arguments as they were given; file names count from where the user is.
pub(crate) fn command(args: &PassedOn, shell: Shell) -> Result<()> {
    let program = build(&Workspace::this()?, shell)?;
    let error = Command::new(&program).args(&args.args).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

/// Builds the program and returns where it is.
fn build(workspace: &Workspace, shell: Shell) -> Result<PathBuf> {
    let step = Step::new("building the reader of reports", shell);
    cargo(&workspace.root, &workspace.target, "build")?
        .args(["--package", "rar-report-page"])
        .require(shell)?;
    step.finish();
    Ok(workspace.target.join("debug").join("report"))
}
