//! `cargo xtask image`: the boot image, built, described, and booted in QEMU.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use rar_harness::ending::{Ending, PASSED};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::guest::Finished;
use rar_harness::outln;
use rar_harness::process::Verbosity;
use rar_harness::setup::{self, Install};
use rar_harness::workspace::Workspace;
use rar_image_harness::boot::{build_kernel, kernel_verdict, watch};
use rar_image_harness::case::{self, Case};
use rar_image_harness::grub::{self, Menu};
use rar_image_harness::grub_entry::{self, sha256};
use rar_image_harness::machine::{self, BOOTS, Boot, CATALOGUE, MachineArgs};
use rar_image_harness::mutated::{self, MOST};
use rar_image_harness::new_folder::NewFolder;
use rar_image_harness::screen_watcher::Seen;
use rar_image_harness::{catalogue, catalogue_run, defects, firmware_catalogue};
use rar_report_page::write_whole;
use rar_vocabulary::Verdict;

#[derive(Args, Clone, Debug)]
pub(crate) struct ImageArgs {
    /// The image [default: rar-validate.iso in the target folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Also write a GRUB network tree for PXE (BIOS and UEFI) into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) netboot: Option<PathBuf>,
    /// Also write a folder for a machine that is reached by SSH: the kernel, an entry for the
    /// machine's own GRUB that is started once, and a README
    #[arg(long, value_name = "DIR")]
    pub(crate) grub_entry: Option<PathBuf>,
    /// Replace the menu by one entry with these options for the kernel, taken at once
    #[arg(long, value_name = "WORDS", value_parser = kernel_options)]
    pub(crate) options: Option<String>,
    /// Boot the image in QEMU
    #[arg(long, group = BOOTS, value_enum, value_name = "HOW")]
    pub(crate) run: Option<Boot>,
    /// Boot the image on these machines, each with options of its own, and judge what each reports
    #[arg(long, groups = [CATALOGUE, BOOTS], value_name = "NAME,...", value_delimiter = ',',
          value_parser = catalogue::names(),
          conflicts_with_all = ["run", "output", "netboot", "grub_entry", "options"])]
    pub(crate) machines: Vec<String>,
    /// Boot the image on machines that firmware left in these states, and judge what each reports
    #[arg(long, groups = [CATALOGUE, BOOTS], value_name = "NAME,...", value_delimiter = ',',
          value_parser = firmware_catalogue::names(), hide_possible_values = true,
          conflicts_with_all = ["run", "output", "netboot", "grub_entry", "options", "machines"])]
    pub(crate) firmware: Vec<String>,
    /// Show the names for --machines and --firmware, each with what it stands for
    #[arg(long, conflicts_with_all =
          ["run", "output", "netboot", "grub_entry", "options", "machines", "firmware", "defect"])]
    list: bool,
    /// Write those for --firmware as a page in Markdown to FILE instead
    #[arg(long, value_name = "FILE", requires = "list", conflicts_with = CATALOGUE)]
    markdown: Option<PathBuf>,
    /// Boot the image with units of the shim that are broken in this way, `all`: in each way in
    /// turn, and judge what each report says
    #[arg(long, groups = [CATALOGUE, BOOTS], value_name = "NAME",
          value_parser = rar_harness::defect_names::name,
          conflicts_with_all = ["run", "output", "netboot", "grub_entry", "options", "machines",
                                "firmware"])]
    pub(crate) defect: Option<String>,
    /// Boot the kernel of the image on N machines whose tables and boot information were changed at
    /// random, and judge what each reports
    #[arg(long, groups = [CATALOGUE, BOOTS], value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)),
          conflicts_with_all = ["run", "output", "netboot", "grub_entry", "options", "machines",
                                "firmware", "defect", "list"])]
    pub(crate) mutated: Option<u32>,
    /// The seed of the first of these machines; the others have the next ones
    #[arg(long, value_name = "N", default_value_t = 1, requires = "mutated",
          conflicts_with_all = ["run", "machines", "firmware", "defect", "list"])]
    pub(crate) seed: u64,
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

/// Runs `cargo xtask image`.
pub(crate) fn command(args: &ImageArgs, verbosity: Verbosity) -> Result<()> {
    let qemu = args.machine.qemu.as_deref();
    if let Some(defect) = &args.defect {
        return defects::command(defect, qemu, verbosity);
    }
    if let Some(count) = args.mutated {
        return mutated::command(count, args.seed, qemu, verbosity);
    }
    if args.list {
        return list(args.markdown.as_deref());
    }
    let workspace = Workspace::this()?;
    if !args.machines.is_empty() {
        return on_machines(&args.machines, qemu, verbosity);
    }
    if !args.firmware.is_empty() {
        return on_disordered_machines(&args.firmware, qemu, verbosity);
    }
    // What the options cannot have is known before anything is written.
    let tree = new_folder("--netboot", args.netboot.as_deref())?;
    let entry = new_folder("--grub-entry", args.grub_entry.as_deref())?;
    let entry = match entry {
        Some(folder) => Some((folder, grub_entry::options(args.options.as_deref())?)),
        None => None,
    };
    setup::boot_loader(Install::Allowed, verbosity)?;
    let emulator = match args.run {
        Some(_) => Some(setup::emulator(qemu, verbosity)?),
        None => None,
    };
    let menu = match &args.options {
        Some(options) => Menu::Only(unattended(options, args)),
        None => Menu::Whole,
    };
    let elf = build_kernel(&workspace, verbosity)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| workspace.target.join("rar-validate.iso"));
    grub::iso(&elf, &menu, &output, verbosity)?;
    describe(&output)?;
    if let Some((folder, tree)) = args.netboot.as_deref().zip(tree) {
        grub::network_tree(&elf, &menu, tree, verbosity)?;
        outln!(
            "{}: a network tree; see docs/rented-metal.md",
            folder.display()
        );
    }
    if let Some((folder, (made, options))) = args.grub_entry.as_deref().zip(entry) {
        grub_entry::write(&elf, &options, made, verbosity)?;
        outln!(
            "{}: an entry for GRUB; see its README.txt and docs/rented-metal.md",
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
            let tree = NewFolder::create("--netboot", &image)?;
            grub::network_tree(&elf, &menu, tree, verbosity)?;
        }
        let (finished, seen) = watch(boot, &args.machine, &emulator, &image, verbosity)?;
        if let Some(folder) = &args.machine.screenshots {
            keep_texts(&seen, folder)?;
        }
        return verdict(&finished, &args.machine);
    }
    Ok(())
}

/// Makes room for the folder of an option.
fn new_folder(option: &'static str, place: Option<&Path>) -> Result<Option<NewFolder>> {
    place
        .map(|place| NewFolder::create(option, place))
        .transpose()
}

/// Returns the options of the kernel. A run that ends QEMU by itself does not show its pages, since
/// no person watches it, unless the options or `--screenshots` ask for them.
fn unattended(options: &str, args: &ImageArgs) -> String {
    let has = |word: &str| options.split(' ').any(|option| option.starts_with(word));
    let watched = args.machine.screenshots.is_some() || has("page-seconds=");
    match args.run.is_some() && has("end=debug-exit") && !watched {
        true => format!("{options} page-seconds=0"),
        false => options.to_owned(),
    }
}

/// Shows the catalogues, or writes the page about firmware.
fn list(page: Option<&Path>) -> Result<()> {
    let Some(page) = page else {
        outln!("--machines\n{}", catalogue::list());
        outln!("--firmware\n{}", firmware_catalogue::list());
        return Ok(());
    };
    write_whole(page, &firmware_catalogue::page())
}

/// Boots the image on the machines of these names.
pub(crate) fn on_machines(
    names: &[String],
    qemu: Option<&Path>,
    verbosity: Verbosity,
) -> Result<()> {
    boot_on(qemu, verbosity, |elf, folder| {
        case::cases(&catalogue::chosen(names), elf, folder, verbosity)
    })
}

/// Boots the image on the machines that firmware left in the states of these names.
pub(crate) fn on_disordered_machines(
    names: &[String],
    qemu: Option<&Path>,
    verbosity: Verbosity,
) -> Result<()> {
    boot_on(qemu, verbosity, |elf, folder| {
        let rows = firmware_catalogue::chosen(names);
        case::disordered_cases(&rows, elf, folder, verbosity)
    })
}

fn boot_on(
    qemu: Option<&Path>,
    verbosity: Verbosity,
    cases: impl FnOnce(&Path, &Path) -> Result<Vec<Case>>,
) -> Result<()> {
    setup::boot_loader(Install::Allowed, verbosity)?;
    let emulator = setup::emulator(qemu, verbosity)?;
    let elf = build_kernel(&Workspace::this()?, verbosity)?;
    let folder = tempfile::Builder::new().prefix("rar-machines-").tempdir();
    let folder = folder.context("cannot create a folder for temporary files")?;
    let cases = cases(&elf, folder.path())?;
    let (count, failure) = catalogue_run::boot_all(&cases, &emulator, verbosity)?;
    outln!("{count}");
    failure.map_or(Ok(()), Err)
}

fn describe(image: &Path) -> Result<()> {
    let bytes =
        fs::read(image).with_context(|| format!("cannot read the image {}", image.display()))?;
    outln!("{}: {} bytes", image.display(), bytes.len());
    outln!("SHA-256 {}", sha256(&bytes));
    outln!("onto a USB stick, whose content is lost (name the stick, not a partition of it):");
    outln!(
        "    sudo dd if={} of=/dev/sdX bs=4M conv=fsync status=progress",
        image.display()
    );
    Ok(())
}

/// Writes what the codes on the screen said, for `cargo xtask report`.
fn keep_texts(seen: &Seen, folder: &Path) -> Result<()> {
    outln!(
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
        write_whole(&path, &texts)?;
        outln!(
            "{}: the texts of {} codes, for cargo xtask report",
            path.display(),
            seen.pages.len()
        );
    }
    Ok(())
}

fn verdict(finished: &Finished, machine: &MachineArgs) -> Result<()> {
    let fault = |reason, message: String| Err(Fault::new(reason, message).into());
    match (kernel_verdict(finished), finished.ending) {
        (_, Ending::Signalled(signal)) => {
            let message = format!("QEMU was killed by signal {signal}");
            fault(Reason::Guest, message)
        }
        (None, Ending::Exited(PASSED | 0)) if !machine.has_console() => Ok(()),
        (None, ending) => {
            let message = format!(
                "the kernel came to no verdict ({ending:?}): {}",
                finished.stderr.trim()
            );
            fault(Reason::Guest, message)
        }
        (Some(Verdict::Holds), _) => Ok(()),
        (Some(verdict), _) => fault(Reason::Failed, format!("the kernel's verdict: {verdict}")),
    }
}
