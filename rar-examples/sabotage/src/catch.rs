//! What it means that a patch is caught.

use anyhow::{Error, Result};
use rar_harness::exit_code::{Reason, reason_of};
use rar_harness::workspace::Workspace;

use crate::copy;
use crate::mutant::not_caught;
use crate::patch::Sabotage;

/// The lane of a mutant that runs alone.
pub const FIRST_LANE: usize = 0;

/// Whether it is known that the unchanged workspace passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// It has passed just now.
    Passed,
    /// It is to be run first.
    Unknown,
}

/// A test that noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catch {
    /// The test.
    pub test: String,
    /// The assertion that failed.
    pub why: String,
}

/// Returns one line with the tests, then one for each with what it said.
#[must_use]
pub fn lines(caught: &[Catch]) -> String {
    let names: Vec<_> = caught.iter().map(|catch| catch.test.as_str()).collect();
    let whys = caught
        .iter()
        .map(|Catch { test, why }| format!("\n    {test}: {why}"));
    format!(
        "caught by: {}{}",
        names.join(", "),
        whys.collect::<String>()
    )
}

/// Keeps a miss as a result of its own; any other error ends the run, since nothing after it is of
/// use.
///
/// # Errors
///
/// Any but a miss.
pub fn missed_or_failed(caught: Result<Vec<Catch>>) -> Result<Result<Vec<Catch>>> {
    match caught {
        Err(error) if reason_of(&error) != Reason::NotCaught => Err(error),
        caught => Ok(caught),
    }
}

/// Returns a copy of the workspace with the patch applied.
pub(crate) fn changed_copy(workspace: &Workspace, sabotage: &Sabotage) -> Result<Workspace> {
    let copy = workspace.target.join("sabotage").join(&sabotage.name);
    copy::fresh(&workspace.root, &copy)?;
    sabotage
        .apply(&copy)
        .map_err(|error| not_caught(&format!("the patch no longer applies: {error:#}")))?;
    Workspace::at(&copy)
}

/// Only a failure of the changed workspace may look like a catch.
pub(crate) fn shows_nothing(error: Error) -> Error {
    match reason_of(&error) {
        Reason::Failed | Reason::Guest => not_caught(&format!(
            "the unchanged workspace fails, so a change of it shows nothing\n{error:#}"
        ))
        .into(),
        _ => error,
    }
}
