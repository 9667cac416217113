//! The loom models of a workspace: how they are built, run and judged.

use crate::cargo::{cargo, with_rustflags};
use crate::command::{Cmd, Shell};
use crate::fault::{Fault, Reason};
use crate::host;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The beginning of the name of each file of models.
const MODELS: &str = "loom_";

/// The profile in the root manifest.
const PROFILE: &str = "loom";

/// loom gives up with these words when a model spins without bound: that is a mistake in the model, not a catch.
const GAVE_UP: [&str; 2] = [
    "exceeded maximum number of branches",
    "exceeded maximum duration",
];

/// Checks that a model passes in this workspace.
pub(crate) fn must_pass(
    workspace: &Workspace,
    package: &str,
    test: &str,
    shell: Shell,
) -> Result<()> {
    let target = target(workspace);
    forget(workspace, &target)?;
    let run = tests(workspace, &target, package, Some(test))?
        .args(["--", "--exact", test])
        .require(shell)?;
    if host::count(&run.stdout).passed != 1 {
        let message = format!("{package} has no model {test}");
        return Err(Fault::new(Reason::Failed, message).into());
    }
    Ok(())
}

/// Checks that a model fails in this changed workspace by its own assertion.
pub(crate) fn must_fail(
    workspace: &Workspace,
    target: &Path,
    package: &str,
    test: &str,
    message: &str,
    shell: Shell,
) -> Result<()> {
    forget(workspace, target)?;
    let tests = tests(workspace, target, package, Some(test))
        .map_err(|error| not_caught(&format!("{error:#}")))?;
    let build = tests.clone().arg("--no-run").capture(shell)?;
    if !build.status.success() {
        return Err(not_caught(&format!(
            "the changed workspace does not build\n{}",
            build.both.trim_end()
        ))
        .into());
    }
    let run = tests.args(["--", "--exact", test]).capture(shell)?;
    judge(&run.both, run.status.success(), test, message).map_err(|why| {
        let shown = run
            .both
            .lines()
            .rev()
            .take(30)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>();
        not_caught(&format!("{why}\n{}", shown.join("\n"))).into()
    })
}

/// Judges what a mutant's test printed.
fn judge(output: &str, succeeded: bool, test: &str, message: &str) -> Result<(), String> {
    let ran = output
        .lines()
        .any(|line| line.starts_with(&format!("test {test} ...")));
    if !ran {
        return Err(format!("there is no model {test}"));
    }
    if succeeded {
        return Err(format!("the model {test} passes"));
    }
    if let Some(words) = GAVE_UP.iter().find(|words| output.contains(**words)) {
        return Err(format!(
            "loom gave up ({words}), which is no assertion of {test}"
        ));
    }
    if !output.contains(message) {
        return Err(format!(
            "{test} failed, but not with its own assertion `{message}`"
        ));
    }
    Ok(())
}

fn not_caught(why: &str) -> Fault {
    Fault::new(Reason::NotCaught, format!("NOT caught: {why}"))
}

/// Returns the target folder of models and mutants, so that what lies below them is built once.
pub(crate) fn target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("loom")
}

/// Makes cargo build the workspace's crates again. It names a package by its place inside its workspace and compares
/// times, so it would take what it built from a changed copy for what it would build from here.
pub(crate) fn forget(workspace: &Workspace, target: &Path) -> Result<()> {
    let fingerprints = target.join(PROFILE).join(".fingerprint");
    let Ok(entries) = fingerprints.read_dir() else {
        return Ok(());
    };
    let names: Vec<_> = workspace
        .packages()
        .iter()
        .map(|package| format!("{}-", package.name))
        .collect();
    for entry in entries.flatten() {
        let name = entry.file_name();
        if names
            .iter()
            .any(|package| name.to_string_lossy().starts_with(package))
        {
            let path = entry.path();
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
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
    Ok(with_rustflags(cmd, &["--cfg", "loom"]))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_of_this_workspace_is_forgotten_and_nothing_else() {
        let target = tempfile::tempdir().unwrap();
        let fingerprints = target.path().join(PROFILE).join(".fingerprint");
        for name in ["rar-percpu-0123", "loom-4567"] {
            fs::create_dir_all(fingerprints.join(name)).unwrap();
        }
        forget(&Workspace::this().unwrap(), target.path()).unwrap();
        assert!(!fingerprints.join("rar-percpu-0123").exists());
        assert!(fingerprints.join("loom-4567").exists());
    }

    const FAILED: &str =
        "test nested ... FAILED\nthread 'nested' panicked at t.rs:1:\na flush was lost\n";

    #[test]
    fn a_mutant_must_fail_by_its_own_assertion() {
        assert_eq!(judge(FAILED, false, "nested", "a flush was lost"), Ok(()));
        let why = |output: &str, succeeded| {
            judge(output, succeeded, "nested", "a flush was lost").unwrap_err()
        };
        assert!(why("test nested ... ok\n", true).contains("passes"));
        assert!(why("running 0 tests\n", true).contains("there is no model"));
        assert!(why("test nested_more ... FAILED\n", false).contains("there is no model"));
        assert!(
            why("test nested ... FAILED\nindex out of bounds\n", false)
                .contains("not with its own assertion")
        );
        let branches = format!("{FAILED}Model exceeded maximum number of branches.\n");
        assert!(why(&branches, false).contains("gave up"));
    }
}
