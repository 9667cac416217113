//! The stage of `cargo xtask defects`: every known defect against every test, on the simulated
//! machine.

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;
use rar_vocabulary::Counts;
use serde::Deserialize;

use crate::sim;

/// The page about the catalogue, which the runs have to bear out.
const PAGE: &str = "docs/defects.md";

/// What the command says of its runs.
#[derive(Debug, Deserialize)]
struct Report {
    summary: Summary,
}

#[derive(Debug, Deserialize)]
struct Summary {
    caught: usize,
    uncaught: usize,
    not_survived: usize,
}

/// Runs the catalogue; returns how many defects are caught, and what went wrong.
pub(crate) fn stage(
    workspace: &Workspace,
    verbosity: Verbosity,
) -> Result<(Counts, Option<anyhow::Error>)> {
    let program = sim::build(workspace, sim::PACKAGE, "defects", verbosity)?;
    let folder = tempfile::tempdir().context("no place for a report")?;
    let json = folder.path().join("defects.json");
    let step = Step::new("every defect against every test", verbosity);
    let captured = Cmd::new(utf8(&program)?)
        .args(["--check", PAGE, "--json", utf8(&json)?])
        .dir(&workspace.root)
        .capture(verbosity)?;
    step.finish();
    let failure = (!captured.status.success())
        .then(|| Fault::new(Reason::Failed, captured.both.trim_end().to_owned()).into());
    let text = match (std::fs::read_to_string(&json), &failure) {
        // A command that ended before it had a report says why itself.
        (Err(_), Some(_)) => return Ok((Counts::NONE, failure)),
        (text, _) => text.context("the command wrote no report")?,
    };
    let Report { summary } = serde_json::from_str(&text).context("the report is not readable")?;
    let count = Counts::of(summary.caught, summary.uncaught + summary.not_survived);
    Ok((count, failure))
}
