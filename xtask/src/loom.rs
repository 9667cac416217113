//! loom: explores every interleaving of small models, then checks that models of broken code fail.

use crate::cargo::{cargo, with_rustflags};
use crate::cli::LoomArgs;
use crate::command::{Cmd, Shell};
use crate::fault::{Fault, Reason};
use crate::host;
use crate::patch::Kind;
use crate::progress::Step;
use crate::report::Count;
use crate::sabotage::{self, Unchanged};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates with models.
const PACKAGES: [&str; 2] = ["rar-percpu", "rar-shootdown"];

/// The beginning of the name of each file of models.
const MODELS: &str = "loom_";

/// The profile in the root manifest.
const PROFILE: &str = "loom";

/// loom gives up with these words when a model spins without bound: that is a mistake in the model, not a catch.
const GAVE_UP: [&str; 2] = [
    "exceeded maximum number of branches",
    "exceeded maximum duration",
];

/// Runs `cargo xtask loom`.
pub(crate) fn command(args: &LoomArgs, shell: Shell) -> Result<()> {
    let workspace = Workspace::this()?;
    let mut count = models(&workspace, args.filter.as_deref(), shell)?;
    let (caught, missed) = mutants(&workspace, args.filter.as_deref(), shell)?;
    for why in &missed {
        println!("{why}");
    }
    count.add(caught);
    println!("{}", count.line());
    if count.failed > 0 {
        return Err(
            Fault::new(Reason::Failed, "a model failed, or a mutant was not caught").into(),
        );
    }
    Ok(())
}

/// Runs the models of the workspace; an error shows what loom printed.
pub(crate) fn models(workspace: &Workspace, filter: Option<&str>, shell: Shell) -> Result<Count> {
    let mut count = Count::default();
    let target = target(workspace);
    forget(workspace, &target)?;
    for package in PACKAGES {
        let step = Step::new(&format!("loom models of {package}"), shell);
        let cmd = tests(workspace, &target, package)?.arg("--").args(filter);
        let captured = cmd.require(shell)?;
        count.add(host::count(&captured.stdout));
        step.finish();
    }
    if count.passed == 0 {
        let filter = filter.unwrap_or_default();
        return Err(Fault::new(
            Reason::Failed,
            format!("no model ran; is there one with {filter:?} in its name?"),
        )
        .into());
    }
    Ok(count)
}

/// Runs the mutants; returns the count and why each that was missed was missed.
pub(crate) fn mutants(
    workspace: &Workspace,
    filter: Option<&str>,
    shell: Shell,
) -> Result<(Count, Vec<String>)> {
    let mut count = Count::default();
    let mut missed = Vec::new();
    for mutant in sabotage::mutants(workspace)? {
        let Kind::Loom { test, .. } = &mutant.kind else {
            continue;
        };
        if filter.is_some_and(|filter| !test.contains(filter)) {
            continue;
        }
        let step = Step::new(&format!("mutant {}", mutant.name), shell);
        match sabotage::catch_by_loom(workspace, &mutant, Unchanged::Passed, shell) {
            Ok(_) => count.passed += 1,
            Err(error) if crate::fault::reason_of(&error) == Reason::NotCaught => {
                count.failed += 1;
                missed.push(format!("mutant {}: {error:#}", mutant.name));
            }
            Err(error) => return Err(error),
        }
        step.finish();
    }
    Ok((count, missed))
}

/// Checks that a model passes in this workspace.
pub(crate) fn must_pass(
    workspace: &Workspace,
    package: &str,
    test: &str,
    shell: Shell,
) -> Result<()> {
    let target = target(workspace);
    forget(workspace, &target)?;
    let run = tests(workspace, &target, package)?
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
    let build = tests(workspace, target, package)?
        .arg("--no-run")
        .capture(shell)?;
    if !build.status.success() {
        return Err(not_caught(&format!(
            "the changed workspace does not build\n{}",
            build.both.trim_end()
        ))
        .into());
    }
    let run = tests(workspace, target, package)?
        .args(["--", "--exact", test])
        .capture(shell)?;
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
fn forget(workspace: &Workspace, target: &Path) -> Result<()> {
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

fn tests(workspace: &Workspace, target: &Path, package: &str) -> Result<Cmd> {
    let files = files(workspace, package)?;
    if files.is_empty() {
        let message = format!("{package} has no models: no file tests/{MODELS}*.rs");
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

fn files(workspace: &Workspace, package: &str) -> Result<Vec<String>> {
    let targets = &workspace.package(package)?.targets;
    let tests = targets
        .iter()
        .filter(|target| target.is_test() && target.name.starts_with(MODELS));
    Ok(tests.map(|target| target.name.clone()).collect())
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
