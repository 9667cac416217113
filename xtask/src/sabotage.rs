//! `cargo xtask sabotage`: a small patch breaks a copy of the workspace, and the right test must
//! fail.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use rar_harness::exit_code::{Fault, Reason, reason_of};
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::run::Run;
use rar_harness::text::{table, with_details};
use rar_harness::workspace::Workspace;
use rar_harness::{errln, outln, parallel, setup};
use rar_sabotage::by_loom::{self, catch_by_loom};
use rar_sabotage::by_qemu::{self, catch_by_qemu};
use rar_sabotage::by_sim::{self, catch_by_sim};
use rar_sabotage::catch::{Catch, FIRST_LANE, Unchanged, lines, missed_or_failed};
use rar_sabotage::patch::{Kind, Sabotage};
use rar_sabotage::patches;
use rar_vocabulary::Backend;

use crate::qemu::QemuArgs;

#[derive(Args, Clone, Copy, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct SabotageArgs {
    /// Show each patch: name, kind, the tests that must notice, why
    #[arg(long)]
    pub(crate) list: bool,
    /// Run every patch; succeeds only if every one is caught
    #[arg(long)]
    pub(crate) all: bool,
}

/// Runs `cargo xtask qemu --sabotage NAME`: an error in every case, since a changed workspace never
/// passes.
pub(crate) fn one(name: &str, args: &QemuArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = &Workspace::this()?;
    let sabotage = patches::find(workspace, name)?;
    outln!("{}: {}", sabotage.name, sabotage.why);
    let caught = match &sabotage.kind {
        Kind::Loom { .. } => catch_by_loom(
            workspace,
            &sabotage,
            Unchanged::Unknown,
            FIRST_LANE,
            verbosity,
        )?,
        Kind::Sim { .. } => catch_by_sim(
            workspace,
            &sabotage,
            Unchanged::Unknown,
            FIRST_LANE,
            verbosity,
        )?,
        Kind::Qemu {
            backend, caught_by, ..
        } => {
            let runs = runs(args, *backend, caught_by)?;
            let qemu = setup::emulator(args.qemu.as_deref(), verbosity)?;
            catch_by_qemu(workspace, &sabotage, &qemu, &runs, verbosity)?
        }
    };
    outln!("{}", lines(&caught));
    Err(Fault::new(
        Reason::Failed,
        format!("the workspace with {name} fails, as it must"),
    )
    .into())
}

/// Runs `cargo xtask sabotage`.
pub(crate) fn command(args: &SabotageArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    if args.list {
        list(&workspace)
    } else {
        all(&workspace, None, verbosity)
    }
}

/// Runs every patch; succeeds only if every one is caught.
pub(crate) fn all(
    workspace: &Workspace,
    named_qemu: Option<&Path>,
    verbosity: Verbosity,
) -> Result<()> {
    let sabotages = patches::all(workspace)?;
    if sabotages.is_empty() {
        let message = format!(
            "there is no patch in {}, so nothing was shown",
            workspace.sabotage().display()
        );
        return Err(Fault::new(Reason::NotCaught, message).into());
    }
    let mut emulator = None;
    let mut table = table(&["sabotage", "result"]);
    let mut missed = 0;
    let mut add = |sabotage: &Sabotage, caught: Result<Vec<Catch>>| {
        let (said, row) = match caught {
            Ok(caught) => (lines(&caught), lines(&caught)),
            Err(error) if reason_of(&error) == Reason::NotCaught => {
                missed += 1;
                let said = format!("{error:#}");
                let first = said.lines().next().unwrap_or_default().to_owned();
                (said, first)
            }
            Err(error) => return Err(error.context(format!("sabotage {}", sabotage.name))),
        };
        errln!("{}: {said}", sabotage.name);
        table.add_row([sabotage.name.clone(), row]);
        Ok(())
    };
    // The models first, once for all of their mutants.
    by_loom::models(workspace, None, verbosity)?;
    for (mutant, caught) in by_loom::mutants(workspace, None, verbosity)? {
        add(&mutant, caught)?;
    }
    // So the races.
    let is_sim = |sabotage: &&Sabotage| matches!(sabotage.kind, Kind::Sim { .. });
    let on_sim: Vec<_> = sabotages.iter().filter(is_sim).collect();
    by_sim::all_must_pass(workspace, verbosity)?;
    let results = parallel::each(&on_sim, parallel::cores(), |lane, sabotage| {
        let step = Step::new(&format!("mutant {}", sabotage.name), verbosity);
        let caught = catch_by_sim(workspace, sabotage, Unchanged::Passed, lane, verbosity);
        step.finish();
        missed_or_failed(caught)
    })?;
    for (sabotage, caught) in on_sim.iter().zip(results) {
        add(sabotage, caught)?;
    }
    for sabotage in &sabotages {
        let caught = match &sabotage.kind {
            Kind::Loom { .. } | Kind::Sim { .. } => continue,
            Kind::Qemu {
                backend, caught_by, ..
            } => {
                if emulator.is_none() {
                    emulator = Some(setup::emulator(named_qemu, verbosity)?);
                }
                let qemu = emulator.as_ref().context("no emulator")?;
                let runs = [by_qemu::run(4, *backend, caught_by)];
                catch_by_qemu(workspace, sabotage, qemu, &runs, verbosity)
            }
        };
        add(sabotage, caught)?;
    }
    outln!("{table}");
    outln!("{} caught, {missed} not caught", sabotages.len() - missed);
    if missed == 0 {
        return Ok(());
    }
    Err(Fault::new(
        Reason::NotCaught,
        format!("{missed} sabotages were not caught"),
    )
    .into())
}

fn list(workspace: &Workspace) -> Result<()> {
    let mut table = table(&["sabotage", "judged by"]);
    let mut details = Vec::new();
    for Sabotage {
        name, kind, why, ..
    } in patches::all(workspace)?
    {
        table.add_row([name.as_str(), kind.name()]);
        details.push(format!("{why}; must be caught by {}", kind.caught_by()));
    }
    outln!("{}", with_details(&table, &details));
    Ok(())
}

/// Returns the runs that the options ask for. Each has the CPUs that the tests need.
fn runs(args: &QemuArgs, backend: Backend, tests: &[String]) -> Result<Vec<Run>> {
    for test in tests {
        let (least, few) = (by_qemu::least_cpus(test), args.cpus.iter().min());
        if let Some(few) = few.filter(|few| **few < least) {
            let message =
                format!("--cpus {few} is too few: {test}, which must notice, needs {least} CPUs");
            return Err(Fault::new(Reason::Usage, message).into());
        }
    }
    let backend = args.backend.unwrap_or(backend);
    let with = |run: Run| Run {
        thread: args.thread.unwrap_or(run.thread),
        flushes: args.flushes.unwrap_or(run.flushes),
        timeout: args.timeout.map(Duration::from_secs),
        ..run
    };
    Ok(args
        .cpus
        .iter()
        .map(|&cpus| with(by_qemu::run(cpus, backend, tests)))
        .collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Subcommands};

    #[test]
    fn too_few_cpus_for_the_test_are_named_before_anything_runs() {
        let late = ["unit-serves-late".to_owned()];
        let runs = |cpus| {
            let cli = Cli::try_parse_from(["xtask", "qemu", "--cpus", cpus]).unwrap();
            let Subcommands::Qemu(args) = cli.command else {
                panic!()
            };
            runs(&args, Backend::Vrar, &late)
        };
        let error = runs("4,2").unwrap_err();
        assert_eq!(reason_of(&error), Reason::Usage);
        let text = error.to_string();
        assert!(
            text.contains("--cpus 2")
                && text.contains("unit-serves-late, which must notice, needs 3 CPUs"),
            "{text}"
        );
        assert_eq!(runs("3,4").unwrap().len(), 2);
    }
}
