//! `cargo xtask protocol`, and the stage of it: the model of the protocol, explored to the end.

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;
use rar_vocabulary::Counts;
use serde::Deserialize;

use crate::sim;

/// The package of the program.
pub(crate) const PACKAGE: &str = "rar-protocol";

/// The page about the model, whose figures the search has to bear out.
const PAGE: &str = "docs/protocol.md";

/// What the command says of its search.
#[derive(Debug, Deserialize)]
struct Report {
    scenarios: Vec<Scenario>,
    mutants: Vec<serde::de::IgnoredAny>,
    caught: usize,
}

#[derive(Debug, Deserialize)]
struct Scenario {
    broken: String,
}

/// How much of the model a stage explores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Without the long scenarios, and the mutants that these catch.
    Quick,
    /// All of it.
    Whole,
}

/// Explores the model; returns how many scenarios hold and mutants are caught, and what went wrong.
pub(crate) fn stage(
    workspace: &Workspace,
    extent: Extent,
    verbosity: Verbosity,
) -> Result<(Counts, Option<anyhow::Error>)> {
    let program = sim::build(workspace, PACKAGE, "protocol", verbosity)?;
    let folder = tempfile::tempdir().context("no place for a report")?;
    let json = folder.path().join("protocol.json");
    let step = Step::new("every state of the protocol", verbosity);
    let quick = (extent == Extent::Quick).then_some("--quick");
    let captured = Cmd::new(utf8(&program)?)
        .args(["--check", PAGE, "--json", utf8(&json)?])
        .args(quick)
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
    let report: Report = serde_json::from_str(&text).context("the report is not readable")?;
    let broken = report.scenarios.iter().filter(|one| !one.broken.is_empty());
    let failed = broken.count() + report.mutants.len() - report.caught;
    let all = report.scenarios.len() + report.mutants.len();
    Ok((Counts::of(all - failed, failed), failure))
}
