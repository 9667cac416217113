//! `cargo xtask setup`: finds what this machine must have, and installs what is missing.

use anyhow::Result;
use clap::Args;
use rar_harness::process::Verbosity;
use rar_harness::{outln, setup};

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct SetupArgs {
    /// Only look, install nothing
    #[arg(long)]
    pub(crate) check: bool,
}

/// Runs `cargo xtask setup`.
pub(crate) fn command(args: SetupArgs, verbosity: Verbosity) -> Result<()> {
    let install = if args.check {
        setup::Install::Never
    } else {
        setup::Install::Allowed
    };
    let qemu = setup::qemu(None, install, verbosity)?;
    outln!("{} ({})", qemu.version, qemu.path.display());
    setup::boot_loader(install, verbosity)?;
    let firmware = setup::firmware(install, verbosity)?;
    outln!("GRUB for BIOS and UEFI; {}", firmware.code.display());
    let barcodes = setup::barcodes(install, verbosity)?;
    outln!("a reader of QR codes ({})", barcodes.display());
    let valgrind = setup::valgrind(install, verbosity)?;
    outln!("callgrind ({})", valgrind.display());
    Ok(())
}
