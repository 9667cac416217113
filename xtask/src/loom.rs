//! loom: explores every interleaving of small models, then checks that models of broken code fail.

use anyhow::Result;
use clap::Args;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;
use rar_harness::{outln, parallel};
use rar_vocabulary::Counts;

use crate::host;
use crate::sabotage::patch::{Kind, Sabotage};
use crate::sabotage::races::{self, RACES};
use crate::sabotage::{self, Catch, Unchanged, models};

#[derive(Args, Clone, Debug)]
pub(crate) struct LoomArgs {
    /// Run only models and mutants whose test name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Show the races with their models and mutants, and check that none is missing
    #[arg(long, conflicts_with = "filter")]
    pub(crate) list: bool,
}

/// The crates with models.
const PACKAGES: [&str; 2] = ["rar-percpu", "rar-shootdown"];

/// Runs `cargo xtask loom`.
pub(crate) fn command(args: &LoomArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    if args.list {
        return list(&workspace);
    }
    let filter = args.filter.as_deref();
    let mut count = models(&workspace, filter, verbosity)?;
    let (mut caught, mut missed) = (Vec::new(), Vec::new());
    for (mutant, result) in mutants(&workspace, filter, verbosity)? {
        match result {
            Ok(_) => caught.push(mutant),
            Err(error) => missed.push(format!("mutant {}: {error:#}", mutant.name)),
        }
    }
    if filter.is_none() {
        outln!("{}", races::overview(&caught));
    }
    for why in &missed {
        outln!("{why}");
    }
    count += Counts::of(caught.len(), missed.len());
    outln!("{count}");
    if missed.is_empty() {
        return Ok(());
    }
    Err(Fault::new(Reason::Failed, "a mutant was not caught").into())
}

/// Shows the races, and checks without running anything that none lacks a model or a mutant.
fn list(workspace: &Workspace) -> Result<()> {
    let mutants = sabotage::mutants(workspace)?;
    outln!("{}", races::overview(&mutants));
    let mut missing = races::without_mutant(&mutants);
    for race in RACES {
        if models::files(workspace, race.package, Some(race.model))?.is_empty() {
            missing.push(race.without_model());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Fault::new(Reason::Failed, missing.join("\n")).into())
}

/// Runs the models of the workspace; an error shows what loom printed, or which race has no model
/// or no mutant.
pub(crate) fn models(
    workspace: &Workspace,
    filter: Option<&str>,
    verbosity: Verbosity,
) -> Result<Counts> {
    let lacking = races::without_mutant(&sabotage::mutants(workspace)?);
    if !lacking.is_empty() {
        return Err(Fault::new(Reason::Failed, lacking.join("\n")).into());
    }
    let mut count = Counts::NONE;
    let target = models::target(workspace);
    models::forget(workspace, &target)?;
    for package in PACKAGES {
        let step = Step::new(&format!("loom models of {package}"), verbosity);
        let cmd = models::tests(workspace, &target, package, None)?
            .arg("--")
            .args(filter);
        let captured = cmd.require(verbosity)?;
        let lost = RACES
            .iter()
            .find(|race| race.package == package && !race.passed(&captured.stdout));
        if let (Some(race), None) = (lost, filter) {
            return Err(Fault::new(Reason::Failed, race.without_model()).into());
        }
        count += host::count(&captured.stdout);
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

/// Runs the mutants, whose models must have passed; returns each with what its model said of it.
pub(crate) fn mutants(
    workspace: &Workspace,
    filter: Option<&str>,
    verbosity: Verbosity,
) -> Result<Vec<(Sabotage, Result<Vec<Catch>>)>> {
    let chosen = |mutant: &Sabotage| match &mutant.kind {
        Kind::Loom { test, .. } => filter.is_none_or(|filter| test.contains(filter)),
        _ => false,
    };
    let mut mutants = sabotage::mutants(workspace)?;
    mutants.retain(chosen);
    let results = parallel::each(&mutants, parallel::cores(), |lane, mutant| {
        let step = Step::new(&format!("mutant {}", mutant.name), verbosity);
        let caught = sabotage::catch_by_loom(workspace, mutant, Unchanged::Passed, lane, verbosity);
        step.finish();
        sabotage::missed_or_failed(caught)
    })?;
    Ok(mutants.into_iter().zip(results).collect())
}
