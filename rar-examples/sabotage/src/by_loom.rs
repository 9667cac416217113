//! Patches that a loom model must notice, and the models themselves.

use anyhow::Result;
use comfy_table::Table;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::workspace::Workspace;
use rar_harness::{parallel, test_output};
use rar_vocabulary::Counts;

use crate::catch::{Catch, Unchanged, changed_copy, missed_or_failed, shows_nothing};
use crate::patch::{Kind, Sabotage};
use crate::races::{self, RACES};
use crate::{loom_models, patches};

/// The crates with models.
const PACKAGES: [&str; 2] = ["rar-percpu", "rar-shootdown"];

/// Runs the models of the workspace; an error shows what loom printed, or which race has no model
/// or no mutant.
///
/// # Errors
///
/// A model fails, or a race has no model or no mutant.
pub fn models(workspace: &Workspace, filter: Option<&str>, verbosity: Verbosity) -> Result<Counts> {
    let lacking = races::without_mutant(&patches::mutants(workspace)?);
    if !lacking.is_empty() {
        return Err(Fault::new(Reason::Failed, lacking.join("\n")).into());
    }
    let mut count = Counts::NONE;
    let target = loom_models::target(workspace);
    for package in PACKAGES {
        let step = Step::new(&format!("loom models of {package}"), verbosity);
        let cmd = loom_models::tests(workspace, &target, package, None)?
            .arg("--")
            .args(filter);
        let captured = cmd.require(verbosity)?;
        let lost = RACES
            .iter()
            .find(|race| race.package == package && !race.passed(&captured.stdout));
        if let (Some(race), None) = (lost, filter) {
            return Err(Fault::new(Reason::Failed, race.without_model()).into());
        }
        count += test_output::count(&captured.stdout);
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
///
/// # Errors
///
/// A mutant cannot be built or run. One that is not caught is a result.
pub fn mutants(
    workspace: &Workspace,
    filter: Option<&str>,
    verbosity: Verbosity,
) -> Result<Vec<(Sabotage, Result<Vec<Catch>>)>> {
    let chosen = |mutant: &Sabotage| match &mutant.kind {
        Kind::Loom { test, .. } => filter.is_none_or(|filter| test.contains(filter)),
        _ => false,
    };
    let mut mutants = patches::mutants(workspace)?;
    mutants.retain(chosen);
    let results = parallel::each(&mutants, parallel::cores(), |lane, mutant| {
        let step = Step::new(&format!("mutant {}", mutant.name), verbosity);
        let caught = catch_by_loom(workspace, mutant, Unchanged::Passed, lane, verbosity);
        step.finish();
        missed_or_failed(caught)
    })?;
    Ok(mutants.into_iter().zip(results).collect())
}

/// Applies a patch for loom and returns the test that noticed. Mutants in one lane share what they
/// build, and so come one after the other.
///
/// # Errors
///
/// The model does not notice: [`Reason::NotCaught`]; or it cannot be run.
pub fn catch_by_loom(
    workspace: &Workspace,
    sabotage: &Sabotage,
    unchanged: Unchanged,
    lane: usize,
    verbosity: Verbosity,
) -> Result<Vec<Catch>> {
    let Kind::Loom {
        package,
        test,
        message,
    } = &sabotage.kind
    else {
        return Err(Fault::new(
            Reason::Usage,
            format!("{} is no patch for loom", sabotage.name),
        )
        .into());
    };
    if unchanged == Unchanged::Unknown {
        loom_models::must_pass(workspace, package, test, verbosity).map_err(shows_nothing)?;
    }
    let copy = changed_copy(workspace, sabotage)?;
    loom_models::must_fail(
        &copy,
        &loom_models::lane_target(workspace, lane),
        package,
        test,
        message,
        verbosity,
    )?;
    Ok(vec![Catch {
        test: test.clone(),
        why: message.clone(),
    }])
}

/// Returns the table of races with their models and mutants, and which race lacks one. Runs
/// nothing.
///
/// # Errors
///
/// A patch or a file of models cannot be read.
pub fn coverage(workspace: &Workspace) -> Result<(Table, Vec<String>)> {
    let mutants = patches::mutants(workspace)?;
    let mut missing = races::without_mutant(&mutants);
    for race in RACES {
        if loom_models::files(workspace, race.package, Some(race.model))?.is_empty() {
            missing.push(race.without_model());
        }
    }
    Ok((races::overview(&mutants), missing))
}
