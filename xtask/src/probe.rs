//! `cargo xtask probe`: builds the static Linux program that answers whether a machine has RAR.

use anyhow::Result;
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;
use rar_harness::{outln, static_program};

const PACKAGE: &str = "rar-probe";

/// Runs `cargo xtask probe`.
pub(crate) fn command(verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let step = Step::new("building the probe", verbosity);
    let program = static_program::build(&workspace, PACKAGE, verbosity)?;
    step.finish();
    outln!("{}", program.display());
    Ok(())
}
