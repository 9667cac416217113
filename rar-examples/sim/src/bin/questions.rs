//! `cargo xtask questions`: what the public sources leave open, and which test asks it of a machine.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use rar_sim::lab::SimLab;
use rar_suite::questions;

/// Prints the table of open questions, each with the tests that answer it.
///
/// Exit codes: 0 every question has its test and every id its question, 1 one has not, 2 wrong usage, 3 a file that cannot be written.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask questions",
    bin_name = "cargo xtask questions",
    max_term_width = 110
)]
struct Args {
    /// Write the page in place of printing it
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

fn main() -> ExitCode {
    match command(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn command(args: &Args) -> Result<ExitCode> {
    let mut page = String::new();
    questions::write_page::<SimLab<'_>>(&mut page).context("no page")?;
    match &args.markdown {
        Some(file) => std::fs::write(file, page)
            .with_context(|| format!("cannot write {}", file.display()))?,
        None => print!("{page}"),
    }
    let mut problems = questions::problems::<SimLab<'_>>().peekable();
    let is_complete = problems.peek().is_none();
    for id in problems {
        println!("FAILED {id} has a test and no question, or a question and no test");
    }
    Ok(if is_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
