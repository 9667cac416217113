//! `cargo xtask fuzz`: the fuzz targets, on stable Rust.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use rar_harness::cargo::cargo;
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;

use crate::sim::options_of;

/// Optimised, with checks of overflow and debug assertions.
const PROFILE: &str = "fuzz";

/// Replaces this process by the program, with the options as they were given.
pub(crate) fn command(verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let step = Step::new("building the fuzz targets", verbosity);
    cargo(&workspace.root, &workspace.target, "build")?
        .args([
            "--profile",
            PROFILE,
            "--package",
            "rar-fuzz",
            "--bin",
            "fuzz",
        ])
        .require(verbosity)?;
    step.finish();
    let program = workspace.target.join(PROFILE).join("fuzz");
    let error = Command::new(&program)
        .args(options_of("fuzz", std::env::args_os()))
        .current_dir(&workspace.root)
        .exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
