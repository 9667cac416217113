//! Disassembles the kernels and checks the rules of their machine code.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::Verbosity;
use rar_harness::workspace::Workspace;
use rar_harness::{elf, kernel, outln};
use rar_house_rules::machine_code;

#[derive(Args, Clone, Debug)]
pub(crate) struct DisasmArgs {
    /// An ELF file [default: every kernel, built now]
    #[arg(long, value_name = "FILE")]
    pub(crate) elf: Option<PathBuf>,
}

/// Runs `cargo xtask disasm`.
pub(crate) fn command(args: &DisasmArgs, verbosity: Verbosity) -> Result<()> {
    if let Some(elf) = &args.elf {
        outln!("{}", check(elf)?);
        return Ok(());
    }
    outln!("{}", kernels(&Workspace::this()?, verbosity)?);
    Ok(())
}

/// Builds and checks every kernel; returns what was checked.
pub(crate) fn kernels(workspace: &Workspace, verbosity: Verbosity) -> Result<String> {
    let mut notes = Vec::new();
    for package in workspace.kernels() {
        let elf = kernel::build(
            workspace,
            &kernel::target(workspace),
            &package.name,
            verbosity,
        )?;
        notes.push(check(&elf)?);
    }
    Ok(notes.join("; "))
}

/// Checks one ELF file; returns what was checked.
fn check(path: &Path) -> Result<String> {
    let functions = elf::functions(path)?;
    let findings = machine_code::check(&functions);
    let name = path.file_name().unwrap_or_default().display();
    if findings.violations.is_empty() {
        return Ok(format!(
            "{name}: {} functions, {} of them ours, {} wrmsr, all where they may be",
            functions.len(),
            findings.own,
            findings.wrmsr
        ));
    }
    let list = findings.violations.join("\n  ");
    Err(Fault::new(
        Reason::Failed,
        format!("{name} breaks rules of its machine code:\n  {list}"),
    )
    .into())
}
