//! The one door to this workspace: `cargo xtask --help`.

mod bench;
mod bochs;
mod carry;
mod ci;
mod cli;
mod defects;
mod disasm;
mod example;
mod fuzz;
mod host_tests;
mod image;
mod loom;
mod many_cpus;
mod minimal;
mod msrv;
mod mutants;
mod old_rust;
mod packages;
mod probe;
mod protocol;
mod qemu;
mod questions;
mod report_page;
mod sabotage;
mod setup;
mod sim;
mod soak;
mod stages;

use std::process::ExitCode;

use anyhow::{Error, Result};
use rar_harness::exit_code::{Reason, reason_of};
use rar_harness::process::Verbosity;
use rar_harness::{errln, interrupt, parent_death};

use cli::{Cli, Subcommands};

fn main() -> ExitCode {
    let ended = parent_death::install()
        .map_err(Error::from)
        .and_then(|()| run(&cli::parse()))
        .and_then(|()| interrupt::check_output());
    let Err(error) = ended else {
        return ExitCode::SUCCESS;
    };
    let reason = reason_of(&error);
    if reason != Reason::OutputClosed {
        errln!("error: {error:#}");
    }
    reason.into()
}

fn run(cli: &Cli) -> Result<()> {
    interrupt::install()?;
    let verbosity = match cli.verbose {
        true => Verbosity::Verbose,
        false => Verbosity::Normal,
    };
    match &cli.command {
        Subcommands::Test(args) => stages::command(args, verbosity),
        Subcommands::Qemu(args) => match (&args.sabotage, &args.defect) {
            (Some(name), _) => sabotage::one(name, args, verbosity),
            (None, Some(name)) => qemu::defects::command(name, args, verbosity),
            (None, None) => qemu::command(args, verbosity),
        },
        Subcommands::Minimal(args) => minimal::command(args, verbosity),
        Subcommands::Image(args) => image::command(args, verbosity),
        Subcommands::Carry(args) => carry::command(args, verbosity),
        Subcommands::Bochs(args) => bochs::command(args, verbosity),
        Subcommands::Probe => probe::command(verbosity),
        Subcommands::Setup(args) => setup::command(*args, verbosity),
        Subcommands::Loom(args) => loom::command(args, verbosity),
        Subcommands::Sim(_) => sim::command(sim::PACKAGE, "sim", verbosity),
        Subcommands::Defects(_) => sim::command(sim::PACKAGE, "defects", verbosity),
        Subcommands::Protocol(_) => sim::command(protocol::PACKAGE, "protocol", verbosity),
        Subcommands::Soak(args) => soak::command(args, verbosity),
        Subcommands::Questions(args) => questions::command(args),
        Subcommands::Report(args) => report_page::command(args),
        Subcommands::Bench(args) => bench::command(args, verbosity),
        Subcommands::Disasm(args) => disasm::command(args, verbosity),
        Subcommands::Sabotage(args) => sabotage::command(args, verbosity),
        Subcommands::Fuzz(_) => fuzz::command(verbosity),
        Subcommands::Mutants(args) => mutants::command(args, verbosity),
        Subcommands::Ci(args) => ci::command(args, verbosity),
    }
}
