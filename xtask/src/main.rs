//! The one door to this workspace: `cargo xtask --help`.

mod arrows;
mod bench;
mod cargo;
mod cli;
mod code_rules;
mod command;
mod defects;
mod defmt;
mod disasm;
mod elf;
mod example;
mod fault;
mod host;
mod image;
mod interrupt;
mod kernel;
mod lanes;
mod loom;
mod minimal;
mod msrv;
mod old_rust;
mod outside;
mod packages;
mod progress;
mod qemu;
mod report;
mod report_page;
mod sabotage;
mod setup;
mod sim;
mod stages;
mod workspace;

use anyhow::Result;
use clap::Parser as _;
use cli::{Cli, SetupArgs, Subcommands};
use command::Shell;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            fault::reason_of(&error).into()
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    interrupt::install()?;
    let shell = Shell {
        verbose: cli.verbose,
    };
    match &cli.command {
        Subcommands::Test(args) => stages::command(args, shell),
        Subcommands::Qemu(args) => qemu::command(args, shell),
        Subcommands::Minimal(args) => minimal::command(args, shell),
        Subcommands::Image(args) => image::command(args, shell),
        Subcommands::Bochs(args) => image::bochs::command(args, shell),
        Subcommands::Setup(args) => setup(*args, shell),
        Subcommands::Loom(args) => loom::command(args, shell),
        Subcommands::Sim(args) => sim::command("sim", args, shell),
        Subcommands::Defects(args) => sim::command("defects", args, shell),
        Subcommands::Questions(args) => sim::command("questions", args, shell),
        Subcommands::Report(args) => report_page::command(args, shell),
        Subcommands::Bench(args) => bench::command(args, shell),
        Subcommands::Disasm(args) => disasm::command(args, shell),
        Subcommands::Sabotage(args) => sabotage::command(args, shell),
        Subcommands::Ci(args) => stages::ci(args, shell),
    }
}

fn setup(args: SetupArgs, shell: Shell) -> Result<()> {
    let install = if args.check {
        setup::Install::Never
    } else {
        setup::Install::Allowed
    };
    let qemu = setup::qemu(None, install, shell)?;
    println!("{} ({})", qemu.version, qemu.path.display());
    setup::boot_loader(install, shell)?;
    let firmware = setup::firmware(install, shell)?;
    println!("GRUB for BIOS and UEFI; {}", firmware.code.display());
    let barcodes = setup::barcodes(install, shell)?;
    println!("a reader of QR codes ({})", barcodes.display());
    let valgrind = setup::valgrind(install, shell)?;
    println!("callgrind ({})", valgrind.display());
    Ok(())
}
