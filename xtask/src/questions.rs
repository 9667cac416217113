//! `cargo xtask questions`: what the public sources leave open, and which test asks it of a
//! machine.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::out;
use rar_report_page::write_whole;
use rar_suite::questions;

#[derive(Args, Clone, Debug)]
pub(crate) struct QuestionsArgs {
    /// Write the page to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Prints or writes the page. Fails if a question has no test, or an id of a test no question.
pub(crate) fn command(args: &QuestionsArgs) -> Result<()> {
    let mut page = String::new();
    questions::write_page(&mut page).context("cannot format the page of questions")?;
    match &args.markdown {
        Some(file) => write_whole(file, &page)?,
        None => out!("{page}"),
    }
    let problems: Vec<_> = questions::problems().collect();
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!(
        "these ids have a test without a question, or a question without a test: {}",
        problems.join(", ")
    );
    Err(Fault::new(Reason::Failed, message).into())
}
