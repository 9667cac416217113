//! `cargo xtask report`: pages of what validation runs found.

use anyhow::Result;
use rar_harness::exit_code::{Fault, Reason};
use rar_report_page::command::{ReportArgs, run};

/// Runs `cargo xtask report`.
pub(crate) fn command(args: &ReportArgs) -> Result<()> {
    match run(args)? {
        true => Ok(()),
        false => Err(Fault::new(Reason::Failed, "not every report is whole").into()),
    }
}
