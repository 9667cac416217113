//! Builds the kernel of the image, and boots an image.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rar_harness::guest::{self, Finished};
use rar_harness::kernel;
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::setup::{self, Firmware, Install, Qemu};
use rar_harness::workspace::Workspace;
use rar_vocabulary::Verdict;
use tempfile::TempDir;

use crate::bus_writes::BusWriter;
use crate::deaf_peer::DeafPeer;
use crate::machine::{self, Boot, Files, MachineArgs};
use crate::screen_watcher::{Photographer, Seen};

/// The package of the image's kernel.
pub const KERNEL: &str = "rar-validate";

/// Builds the kernel of the image.
///
/// # Errors
///
/// The kernel does not build.
pub fn build_kernel(workspace: &Workspace, verbosity: Verbosity) -> Result<PathBuf> {
    let step = Step::new("building the kernel of the image", verbosity);
    let elf = kernel::build(workspace, &kernel::target(workspace), KERNEL, verbosity)?;
    step.finish();
    Ok(elf)
}

/// Boots an image to its end or its deadline.
///
/// # Errors
///
/// A program is missing, QEMU cannot be started, or the user interrupted it.
pub fn run(
    boot: Boot,
    machine: &MachineArgs,
    emulator: &Qemu,
    image: &Path,
    verbosity: Verbosity,
) -> Result<Finished> {
    watch(boot, machine, emulator, image, verbosity).map(|(finished, _)| finished)
}

/// Boots an image to its end or its deadline, and looks at its screen if somebody wants to know.
///
/// # Errors
///
/// As [`run`]; or the screen cannot be photographed.
pub fn watch(
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
    let (socket, bus) = (files.path().join("monitor"), files.path().join("bus"));
    let wanted = machine.read_codes || machine.screenshots.is_some();
    let deaf_peer = match machine.deaf_serial {
        Some(deaf) => Some(DeafPeer::new(files.path(), deaf)?),
        None => None,
    };
    let cmd = machine::qemu(
        boot,
        machine,
        Files {
            qemu: &emulator.path,
            image,
            firmware: firmware.as_ref(),
            monitor: wanted.then_some(&socket),
            deaf_peer: deaf_peer.as_ref().map(DeafPeer::path),
            bus: machine.bus_writes.is_some().then_some(&bus),
        },
    )?;
    let photographer = match wanted {
        true => Some(Photographer::start(socket, machine.screenshots.as_deref())?),
        false => None,
    };
    let mut writer = machine
        .bus_writes
        .map(|writes| BusWriter::start(bus, writes));
    let limit = Duration::from_secs(machine.timeout);
    let finished = guest::run(&cmd, limit, verbosity, |_| {
        if let Some(writer) = &mut writer {
            writer.on_record();
        }
    })?;
    if let Some(writer) = writer {
        writer.finish()?;
    }
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
/// What follows if not all CPUs took part.
const ON: &str = " on ";

/// Returns the kernel's own verdict in its words, with what it says of its CPUs.
#[must_use]
pub fn verdict_words(finished: &Finished) -> Option<&str> {
    let mut lines = finished.transcript.lines.iter().rev();
    lines.find_map(|line| line.strip_prefix(VERDICT))
}

/// Returns the kernel's own verdict, if it came to one.
#[must_use]
pub fn kernel_verdict(finished: &Finished) -> Option<Verdict> {
    let words = verdict_words(finished)?;
    let verdict = words.split_once(ON).map_or(words, |(verdict, _)| verdict);
    verdict.parse().ok()
}
