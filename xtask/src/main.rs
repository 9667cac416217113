//! The one door to this workspace: `cargo xtask --help`.

mod bench;
mod cli;
mod defects;
mod defmt;
mod disasm;
mod example;
mod host;
mod image;
mod loom;
mod minimal;
mod msrv;
mod old_rust;
mod packages;
mod qemu;
mod questions;
mod report_page;
mod sabotage;
mod setup;
mod sim;
mod stages;

use anyhow::Result;
use clap::Parser as _;
use cli::{Cli, SetupArgs, Subcommands};
use rar_harness::process::Verbosity;
use rar_harness::{exit_code, interrupt};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            exit_code::reason_of(&error).into()
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    interrupt::install()?;
    let verbosity = match cli.verbose {
        true => Verbosity::Verbose,
        false => Verbosity::Normal,
    };
    match &cli.command {
        Subcommands::Test(args) => stages::command(args, verbosity),
        Subcommands::Qemu(args) => qemu::command(args, verbosity),
        Subcommands::Minimal(args) => minimal::command(args, verbosity),
        Subcommands::Image(args) => image::command(args, verbosity),
        Subcommands::Bochs(args) => image::bochs::command(args, verbosity),
        Subcommands::Setup(args) => setup(*args, verbosity),
        Subcommands::Loom(args) => loom::command(args, verbosity),
        Subcommands::Sim(args) => sim::command("sim", args, verbosity),
        Subcommands::Defects(args) => sim::command("defects", args, verbosity),
        Subcommands::Questions(args) => questions::command(args),
        Subcommands::Report(args) => report_page::command(args, verbosity),
        Subcommands::Bench(args) => bench::command(args, verbosity),
        Subcommands::Disasm(args) => disasm::command(args, verbosity),
        Subcommands::Sabotage(args) => sabotage::command(args, verbosity),
        Subcommands::Ci(args) => stages::ci(args, verbosity),
    }
}

fn setup(args: SetupArgs, verbosity: Verbosity) -> Result<()> {
    let install = if args.check {
        setup::Install::Never
    } else {
        setup::Install::Allowed
    };
    let qemu = setup::qemu(None, install, verbosity)?;
    println!("{} ({})", qemu.version, qemu.path.display());
    setup::boot_loader(install, verbosity)?;
    let firmware = setup::firmware(install, verbosity)?;
    println!("GRUB for BIOS and UEFI; {}", firmware.code.display());
    let barcodes = setup::barcodes(install, verbosity)?;
    println!("a reader of QR codes ({})", barcodes.display());
    let valgrind = setup::valgrind(install, verbosity)?;
    println!("callgrind ({})", valgrind.display());
    Ok(())
}
