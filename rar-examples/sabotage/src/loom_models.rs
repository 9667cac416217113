//! The loom models of a workspace: how they are built, run and judged.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::cargo::{cargo, with_rustflags};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Cmd, Verbosity};
use rar_harness::workspace::Workspace;

use crate::mutant;

/// The beginning of the name of each file of models.
const MODELS: &str = "loom_";

/// The profile in the root manifest.
const PROFILE: &str = "loom";

/// Checks that a model passes in this workspace.
pub(crate) fn must_pass(
    workspace: &Workspace,
    package: &str,
    test: &str,
    verbosity: Verbosity,
) -> Result<()> {
    let run = tests(workspace, &target(workspace), package, Some(test))?;
    mutant::must_pass(run.args(["--", "--exact", test]), test, verbosity)
}

/// Checks that a model fails in this changed workspace by its own assertion.
pub(crate) fn must_fail(
    workspace: &Workspace,
    target: &Path,
    package: &str,
    test: &str,
    message: &str,
    verbosity: Verbosity,
) -> Result<()> {
    mutant::forget(workspace, &target.join(PROFILE))?;
    let tests = tests(workspace, target, package, Some(test))
        .map_err(|error| mutant::not_caught(&format!("{error:#}")))?;
    mutant::must_fail(tests, test, message, verbosity)
}

/// Returns the target folder of models. No mutant is built there, so nothing in it is forgotten.
pub(crate) fn target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("loom")
}

/// Returns the target folder of a lane of mutants.
pub(crate) fn lane_target(workspace: &Workspace, lane: usize) -> PathBuf {
    workspace.target.join(format!("loom-mutants-{lane}"))
}

/// Returns the call that builds and runs the files of models, or only the one with this model.
pub(crate) fn tests(
    workspace: &Workspace,
    target: &Path,
    package: &str,
    model: Option<&str>,
) -> Result<Cmd> {
    let files = files(workspace, package, model)?;
    if files.is_empty() {
        let what = model.unwrap_or("at all");
        let message = format!("{package} has no model {what} in a file tests/{MODELS}*.rs");
        return Err(Fault::new(Reason::Failed, message).into());
    }
    let mut cmd = cargo(&workspace.root, target, "test")?.args([
        "--profile",
        PROFILE,
        "--no-fail-fast",
        "--package",
        package,
    ]);
    for file in files {
        cmd = cmd.args(["--test".to_owned(), file]);
    }
    Ok(with_rustflags(cmd, &["--cfg", "rar_loom"]))
}

/// Returns the files of models, or only the one with this model.
pub(crate) fn files(
    workspace: &Workspace,
    package: &str,
    model: Option<&str>,
) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let targets = &workspace.package(package)?.targets;
    for target in targets {
        if !target.is_test() || !target.name.starts_with(MODELS) {
            continue;
        }
        let path = target.src_path.as_std_path();
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        if model.is_none_or(|model| text.contains(&format!("fn {model}()"))) {
            files.push(target.name.clone());
        }
    }
    Ok(files)
}
