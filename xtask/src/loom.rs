//! loom: explores every interleaving of small models, then checks that models of broken code fail.

use anyhow::Result;
use clap::Args;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::outln;
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_sabotage::{by_loom, races};
use rar_vocabulary::Counts;

#[derive(Args, Clone, Debug)]
pub(crate) struct LoomArgs {
    /// Run only models and mutants whose test name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Show the races with their models and mutants, and check that none is missing
    #[arg(long, conflicts_with = "filter")]
    pub(crate) list: bool,
}

/// Runs `cargo xtask loom`.
pub(crate) fn command(args: &LoomArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    if args.list {
        let (table, missing) = by_loom::coverage(&workspace)?;
        outln!("{table}");
        return match missing.is_empty() {
            true => Ok(()),
            false => Err(Fault::new(Reason::Failed, missing.join("\n")).into()),
        };
    }
    let filter = args.filter.as_deref();
    let mut count = by_loom::models(&workspace, filter, verbosity)?;
    let (mut caught, mut missed) = (Vec::new(), Vec::new());
    for (mutant, result) in by_loom::mutants(&workspace, filter, verbosity)? {
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
