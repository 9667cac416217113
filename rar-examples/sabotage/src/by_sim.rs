//! Patches that a race on the simulator must notice.

use anyhow::Result;
use rar_harness::cargo::{cargo, with_rustflags};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::observed;
use rar_harness::process::{Cmd, Verbosity};
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;

use crate::catch::{Catch, Unchanged, changed_copy, shows_nothing};
use crate::mutant;
use crate::patch::{Kind, Sabotage};

/// Applies a patch for the simulator and returns the race that noticed. Mutants in one lane share
/// what they build.
///
/// # Errors
///
/// The race does not notice: [`Reason::NotCaught`]; or it cannot be run.
pub fn catch_by_sim(
    workspace: &Workspace,
    sabotage: &Sabotage,
    unchanged: Unchanged,
    lane: usize,
    verbosity: Verbosity,
) -> Result<Vec<Catch>> {
    let Kind::Sim { test, message } = &sabotage.kind else {
        return Err(Fault::new(
            Reason::Usage,
            format!("{} is no patch for the simulator", sabotage.name),
        )
        .into());
    };
    if unchanged == Unchanged::Unknown {
        must_pass(workspace, test, verbosity).map_err(shows_nothing)?;
    }
    let copy = changed_copy(workspace, sabotage)?;
    must_fail(workspace, &copy, lane, test, message, verbosity)?;
    Ok(vec![Catch {
        test: test.to_owned(),
        why: message.to_owned(),
    }])
}

/// Checks that a race passes in this workspace.
fn must_pass(workspace: &Workspace, test: &str, verbosity: Verbosity) -> Result<()> {
    let races = races(workspace, workspace, 0)?;
    mutant::must_pass(races.args(["--", "--exact", test]), test, verbosity)
}

/// Checks that all races pass in this workspace.
///
/// # Errors
///
/// A race fails.
pub fn all_must_pass(workspace: &Workspace, verbosity: Verbosity) -> Result<()> {
    let step = Step::new("races on the simulator", verbosity);
    races(workspace, workspace, 0)?.require(verbosity)?;
    step.finish();
    Ok(())
}

/// Checks that a race fails in a changed copy of the workspace by its own assertion. Copies in one
/// lane share what they build.
fn must_fail(
    workspace: &Workspace,
    copy: &Workspace,
    lane: usize,
    test: &str,
    message: &str,
    verbosity: Verbosity,
) -> Result<()> {
    mutant::must_fail(races(workspace, copy, lane)?, test, message, verbosity)
}

/// Returns the call that builds and runs the races of a copy of the workspace, or of itself, from
/// scratch and in a folder where nothing else is built: what a changed copy leaves must not pass
/// for a build of this workspace.
fn races(workspace: &Workspace, copy: &Workspace, lane: usize) -> Result<Cmd> {
    let target = workspace.target.join(format!("observed-mutants-{lane}"));
    mutant::forget(workspace, &target.join(observed::PROFILE))?;
    let cmd = cargo(&copy.root, &target, "test")?;
    let cmd = cmd.args(["--profile", observed::PROFILE]).args([
        "--package",
        "rar-sim",
        "--test",
        "races",
    ]);
    Ok(with_rustflags(cmd, observed::OBSERVED))
}
