//! `cargo xtask report`: pages of what validation runs found.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use rar_harness::cargo::cargo;
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;

use crate::passed_on::PassedOn;

/// Replaces this process by the program, with the arguments as they were given; file names count
/// from where the user is.
pub(crate) fn command(args: &PassedOn, verbosity: Verbosity) -> Result<()> {
    let program = build(&Workspace::this()?, verbosity)?;
    let error = Command::new(&program).args(&args.args).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

/// Builds the program and returns where it is.
fn build(workspace: &Workspace, verbosity: Verbosity) -> Result<PathBuf> {
    let step = Step::new("building the reader of reports", verbosity);
    cargo(&workspace.root, &workspace.target, "build")?
        .args(["--package", "rar-report-page"])
        .require(verbosity)?;
    step.finish();
    Ok(workspace.target.join("debug").join("report"))
}
