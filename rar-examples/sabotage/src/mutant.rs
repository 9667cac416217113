//! Mutants: broken code that one named test must notice, by its own assertion.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Cmd, Verbosity};
use rar_harness::test_output;
use rar_harness::workspace::Workspace;

/// loom gives up with these words when a model spins without bound: that is a mistake in the model,
/// not a catch.
const GAVE_UP: [&str; 2] = [
    "exceeded maximum number of branches",
    "exceeded maximum duration",
];

/// Checks that this call of cargo runs the one test and that it passes.
pub(crate) fn must_pass(run: Cmd, test: &str, verbosity: Verbosity) -> Result<()> {
    let run = run.require(verbosity)?;
    if test_output::count(&run.stdout).passed != 1 {
        return Err(Fault::new(Reason::Failed, format!("there is no test {test}")).into());
    }
    Ok(())
}

/// Checks that the tests of a changed workspace, which this call of cargo builds, fail in this one
/// by its own assertion.
pub(crate) fn must_fail(tests: Cmd, test: &str, message: &str, verbosity: Verbosity) -> Result<()> {
    let build = tests.clone().arg("--no-run").capture(verbosity)?;
    if !build.status.success() {
        return Err(not_caught(&format!(
            "the changed workspace does not build\n{}",
            build.both.trim_end()
        ))
        .into());
    }
    let run = tests.args(["--", "--exact", test]).capture(verbosity)?;
    judge(&run.both, run.status.success(), test, message).map_err(|why| {
        let lines: Vec<_> = run.both.lines().collect();
        let shown = lines
            .get(lines.len().saturating_sub(30)..)
            .unwrap_or(&lines);
        not_caught(&format!("{why}\n{}", shown.join("\n"))).into()
    })
}

/// Judges what a mutant's test printed.
fn judge(output: &str, succeeded: bool, test: &str, message: &str) -> Result<(), String> {
    let ran = output
        .lines()
        .any(|line| line.starts_with(&format!("test {test} ...")));
    if !ran {
        return Err(format!("there is no test {test}"));
    }
    if succeeded {
        return Err(format!("the test {test} passes"));
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

/// The error that says so.
pub(crate) fn not_caught(why: &str) -> Fault {
    Fault::new(Reason::NotCaught, format!("NOT caught: {why}"))
}

/// Makes cargo build the workspace's crates again. It names a package by its place inside its
/// workspace and compares times, so it would take what it built from a changed copy for what it
/// would build from here. `built` is where a profile has what it built.
pub(crate) fn forget(workspace: &Workspace, built: &Path) -> Result<()> {
    let fingerprints = built.join(".fingerprint");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_of_this_workspace_is_forgotten_and_nothing_else() {
        let target = tempfile::tempdir().unwrap();
        let fingerprints = target.path().join(".fingerprint");
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
        assert!(why("running 0 tests\n", true).contains("there is no test"));
        assert!(why("test nested_more ... FAILED\n", false).contains("there is no test"));
        assert!(
            why("test nested ... FAILED\nindex out of bounds\n", false)
                .contains("not with its own assertion")
        );
        let branches = format!("{FAILED}Model exceeded maximum number of branches.\n");
        assert!(why(&branches, false).contains("gave up"));
    }
}
