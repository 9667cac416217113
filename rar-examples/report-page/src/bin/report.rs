//! `cargo xtask report` by itself.

use std::process::ExitCode;

use clap::Parser;
use rar_harness::errln;
use rar_report_page::command::{ReportArgs, run};

/// Reads reports of validation runs and makes pages of them.
///
/// Exit codes: 0 every report is whole, 1 parts are missing or damaged, or there is no report, 2
/// wrong usage, 3 a file that cannot be read or written.
#[derive(Debug, Parser)]
#[command(name = "report")]
struct Cli {
    #[command(flatten)]
    args: ReportArgs,
}

/// Exit code: a report is not whole, or no report was found.
const NOT_WHOLE: u8 = 1;
/// Exit code: a file cannot be used.
const FILE: u8 = 3;

fn main() -> ExitCode {
    match run(&Cli::parse().args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => NOT_WHOLE.into(),
        Err(error) => {
            errln!("error: {error:#}");
            FILE.into()
        }
    }
}
