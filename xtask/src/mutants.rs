//! `cargo xtask mutants`: small changes of the four libraries, which tests must notice.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_mutants::command::{self, Request, Shard};

#[derive(Args, Clone, Debug)]
pub(crate) struct MutantsArgs {
    /// Only mutants of this library [default: all four]
    #[arg(long = "crate", value_name = "NAME", value_delimiter = ',')]
    pub(crate) libraries: Vec<String>,
    /// Only mutants of files whose path ends so
    #[arg(long = "in", value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// Only part K of N of the chosen mutants; results of several parts add up
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,
    /// List the chosen mutants with what is known of them, and run nothing
    #[arg(long, conflicts_with_all = ["report", "fresh", "json", "markdown"])]
    pub(crate) list: bool,
    /// Judge by the results that are kept, and run nothing
    #[arg(long, conflicts_with = "fresh")]
    pub(crate) report: bool,
    /// Forget the results of the chosen mutants first
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Run that many mutants at once
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) jobs: u32,
    /// Write figures and survivors as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the page of the documentation, docs/mutants.md
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

/// Runs `cargo xtask mutants`.
pub(crate) fn command(args: &MutantsArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let request = Request {
        libraries: args.libraries.clone(),
        file: args.file.clone(),
        shard: args.shard,
        report_only: args.report,
        fresh: args.fresh,
        jobs: args.jobs,
        markdown: args.markdown.clone(),
        json: args.json.clone(),
    };
    if args.list {
        return command::list(&workspace, &request, verbosity);
    }
    command::judge(&workspace, &request, verbosity)
}
