//! The boot image: built, described, and booted in QEMU.

pub(crate) mod boot_records;
pub(crate) mod boot_report;
pub(crate) mod boots;
pub(crate) mod defects;
pub(crate) mod grub;
pub(crate) mod machine;
pub(crate) mod machine_boots;
pub(crate) mod machines;
pub(crate) mod photos;
pub(crate) mod qmp;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use rar_harness::ending::{Ending, PASSED};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::guest::{self, Finished};
use rar_harness::kernel;
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::setup::{self, Firmware, Install, Qemu};
use rar_harness::workspace::Workspace;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use self::grub::Menu;
use self::machine::Files;
use self::qmp::{Photographer, Seen};
use crate::image::machine::{Boot, MachineArgs};

#[derive(Args, Clone, Debug)]
pub(crate) struct ImageArgs {
    /// The image [default: rar-validate.iso in the target folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Also write a GRUB network tree for PXE (BIOS and UEFI) into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) netboot: Option<PathBuf>,
    /// Replace the menu by one entry with these options for the kernel, taken at once
    #[arg(long, value_name = "WORDS", value_parser = kernel_options)]
    pub(crate) options: Option<String>,
    /// Boot the image in QEMU
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) run: Option<Boot>,
    /// Boot the image on these machines, each with options of its own, and judge what each reports
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = machines::names(),
          conflicts_with_all = ["run", "output", "netboot", "options"])]
    pub(crate) machines: Vec<String>,
    /// Boot the image with units of the shim that are broken in this way, `all`: in each way in turn, and judge what each report says
    #[arg(long, value_name = "NAME", value_parser = crate::qemu::defects::name,
          conflicts_with_all = ["run", "output", "netboot", "options", "machines"])]
    pub(crate) defect: Option<String>,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

/// Returns the words if they can stand in a GRUB menu.
fn kernel_options(words: &str) -> Result<String, String> {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || " =,.-_@:/+".contains(character);
    if !words.chars().all(plain) {
        return Err("options are words of letters, digits and =,.-_@:/+".to_owned());
    }
    Ok(words.to_owned())
}

/// The package of the image's kernel.
pub(crate) const KERNEL: &str = "rar-validate";

/// Runs `cargo xtask image`.
pub(crate) fn command(args: &ImageArgs, verbosity: Verbosity) -> Result<()> {
    if let Some(defect) = &args.defect {
        return defects::command(defect, verbosity);
    }
    let workspace = Workspace::this()?;
    if !args.machines.is_empty() {
        return on_machines(&args.machines, verbosity);
    }
    setup::boot_loader(Install::Allowed, verbosity)?;
    let emulator = match args.run {
        Some(_) => Some(setup::emulator(args.machine.qemu.as_deref(), verbosity)?),
        None => None,
    };
    let menu = match &args.options {
        Some(options) => Menu::Only(options.clone()),
        None => Menu::Whole,
    };
    let elf = build_kernel(&workspace, verbosity)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| workspace.target.join("rar-validate.iso"));
    grub::iso(&elf, &menu, &output, verbosity)?;
    describe(&output)?;
    if let Some(folder) = &args.netboot {
        grub::network_tree(&elf, &menu, folder, verbosity)?;
        println!(
            "{}: a network tree; see docs/validating.md",
            folder.display()
        );
    }
    if let Some((boot, emulator)) = args.run.zip(emulator) {
        // Its console is what a person wants to see.
        let verbosity = Verbosity::Verbose;
        let network = tempfile::Builder::new().prefix("rar-netboot-").tempdir();
        let network = network.context("cannot create a folder for temporary files")?;
        let mut image = output;
        if machine::by_network(boot) {
            setup::network_boot(Install::Allowed, verbosity)?;
            image = network.path().join("tree");
            grub::network_tree(&elf, &menu, &image, verbosity)?;
        }
        let (finished, seen) = watch(boot, &args.machine, &emulator, &image, verbosity)?;
        if let Some(folder) = &args.machine.screenshots {
            keep_texts(&seen, folder)?;
        }
        return verdict(&finished, &args.machine);
    }
    Ok(())
}

/// Boots the image on the machines of these names.
pub(crate) fn on_machines(names: &[String], verbosity: Verbosity) -> Result<()> {
    setup::boot_loader(Install::Allowed, verbosity)?;
    let emulator = setup::emulator(None, verbosity)?;
    let elf = build_kernel(&Workspace::this()?, verbosity)?;
    let machines = machines::chosen(names);
    let (count, failure) = machine_boots::boot_all(&machines, &elf, &emulator, verbosity)?;
    println!("{count}");
    failure.map_or(Ok(()), Err)
}

/// Builds the kernel of the image.
pub(crate) fn build_kernel(
    workspace: &Workspace,
    verbosity: Verbosity,
) -> Result<std::path::PathBuf> {
    let step = Step::new("building the kernel of the image", verbosity);
    let elf = kernel::build(workspace, &kernel::target(workspace), KERNEL, verbosity)?;
    step.finish();
    Ok(elf)
}

fn describe(image: &Path) -> Result<()> {
    let bytes =
        fs::read(image).with_context(|| format!("cannot read the image {}", image.display()))?;
    let sum = Sha256::digest(&bytes);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{}: {} bytes", image.display(), bytes.len());
    println!("SHA-256 {sum}");
    println!("onto a USB stick, whose content is lost (name the stick, not a partition of it):");
    println!(
        "    sudo dd if={} of=/dev/sdX bs=4M conv=fsync status=progress",
        image.display()
    );
    Ok(())
}

/// Writes what the codes on the screen said, for `cargo xtask report`.
fn keep_texts(seen: &Seen, folder: &Path) -> Result<()> {
    println!(
        "{} pictures of the screen are in {}",
        seen.kept,
        folder.display()
    );
    if !seen.pages.is_empty() {
        let path = folder.join("codes.txt");
        let texts: String = seen
            .pages
            .iter()
            .map(|page| format!("{}\n", page.text))
            .collect();
        fs::write(&path, texts).with_context(|| format!("cannot write {}", path.display()))?;
        println!(
            "{}: the texts of {} codes, for cargo xtask report",
            path.display(),
            seen.pages.len()
        );
    }
    Ok(())
}

/// Boots an image to its end or its deadline.
pub(crate) fn run(
    boot: Boot,
    machine: &MachineArgs,
    emulator: &Qemu,
    image: &Path,
    verbosity: Verbosity,
) -> Result<Finished> {
    watch(boot, machine, emulator, image, verbosity).map(|(finished, _)| finished)
}

/// Boots an image to its end or its deadline, and looks at its screen if somebody wants to know.
pub(crate) fn watch(
    boot: Boot,
    machine: &MachineArgs,
    emulator: &Qemu,
    image: &Path,
    verbosity: Verbosity,
) -> Result<(Finished, Seen)> {
    let files = tempfile::Builder::new().prefix("rar-boot-").tempdir();
    let files = files.context("cannot create a folder for temporary files")?;
    let firmware = if machine::by_uefi(boot) {
        Some(own_firmware(&files, verbosity)?)
    } else {
        None
    };
    let socket = files.path().join("monitor");
    let wanted = machine.read_codes || machine.screenshots.is_some();
    let cmd = machine::qemu(
        boot,
        machine,
        Files {
            qemu: &emulator.path,
            image,
            firmware: firmware.as_ref(),
            monitor: wanted.then_some(&socket),
        },
    )?;
    let photographer = match wanted {
        true => Some(Photographer::start(socket, machine.screenshots.as_deref())?),
        false => None,
    };
    let limit = Duration::from_secs(machine.timeout);
    let finished = guest::run(&cmd, limit, verbosity, |_| {})?;
    let seen = match photographer {
        Some(photographer) => photographer.finish()?,
        None => Seen::default(),
    };
    Ok((finished, seen))
}

/// Returns the firmware with variables of its own, since a guest writes to them.
fn own_firmware(files: &TempDir, verbosity: Verbosity) -> Result<Firmware> {
    let found = setup::firmware(Install::Allowed, verbosity)?;
    let variables = files.path().join("variables.fd");
    fs::copy(&found.variables, &variables)
        .with_context(|| format!("cannot copy {}", found.variables.display()))?;
    // A copy of a file that is only readable is only readable too.
    let mut permissions = fs::metadata(&variables)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    fs::set_permissions(&variables, permissions)?;
    Ok(Firmware { variables, ..found })
}

/// What the kernel says at its end.
const VERDICT: &str = "verdict: ";

/// Returns the kernel's own verdict.
pub(crate) fn kernel_verdict(finished: &Finished) -> Option<&str> {
    let lines = &finished.transcript.lines;
    lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix(VERDICT))
}

fn verdict(finished: &Finished, machine: &MachineArgs) -> Result<()> {
    let fault = |reason, message: String| Err(Fault::new(reason, message).into());
    match (kernel_verdict(finished), finished.ending) {
        (_, Ending::Signalled(signal)) => {
            let message = format!("QEMU was killed by signal {signal}");
            fault(Reason::Guest, message)
        }
        (None, Ending::Exited(PASSED | 0)) if machine.no_serial => Ok(()),
        (None, ending) => {
            let message = format!(
                "the kernel came to no verdict ({ending:?}): {}",
                finished.stderr.trim()
            );
            fault(Reason::Guest, message)
        }
        (Some("holds"), _) => Ok(()),
        (Some(verdict), _) => fault(Reason::Failed, format!("the kernel's verdict: {verdict}")),
    }
}
