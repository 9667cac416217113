//! Finds what this machine must have, and installs what is missing where it may.

pub mod debian;
mod install;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use self::install::Install;
use self::install::{Need, missing, provide};
use crate::exit_code::{Fault, Reason};
use crate::outln;
use crate::process::{Cmd, Verbosity, find_program, is_executable};

/// The emulator.
const QEMU: &str = "qemu-system-x86_64";

const EMULATOR: Need = Need {
    what: QEMU,
    present: || find_program(QEMU).is_some(),
    debian: "qemu-system-x86",
    fedora: "qemu-system-x86-core",
    arch: "qemu-system-x86",
    brew: "qemu",
};

const BOCHS: Need = Need {
    what: "Bochs with its BIOS",
    present: || bochs_files().is_some(),
    debian: "bochs bochs-term bochsbios vgabios",
    fedora: "bochs",
    arch: "bochs",
    brew: "bochs",
};

/// What Bochs needs to play a machine.
#[derive(Clone, Debug)]
pub struct Bochs {
    /// The program.
    pub program: PathBuf,
    /// Its BIOS.
    pub bios: &'static str,
    /// Its VGA BIOS.
    pub vga_bios: &'static str,
}

/// Where Debian and Bochs itself put the ROMs.
const BOCHS_ROMS: [(&str, &str); 2] = [
    (
        "/usr/share/bochs/BIOS-bochs-latest",
        "/usr/share/bochs/VGABIOS-lgpl-latest",
    ),
    (
        "/usr/local/share/bochs/BIOS-bochs-latest",
        "/usr/local/share/bochs/VGABIOS-lgpl-latest",
    ),
];

/// Returns Bochs, if it is installed.
pub fn bochs_files() -> Option<Bochs> {
    let program = find_program("bochs")?;
    let present = |path: &str| Path::new(path).is_file();
    let mut roms = BOCHS_ROMS.into_iter();
    let (bios, vga_bios) = roms.find(|(bios, vga)| present(bios) && present(vga))?;
    Some(Bochs {
        program,
        bios,
        vga_bios,
    })
}

/// Returns Bochs.
///
/// # Errors
///
/// It is missing and cannot be installed: the error names the command that installs it.
pub fn bochs(install: Install, verbosity: Verbosity) -> Result<Bochs> {
    provide(&[BOCHS], install, verbosity)?;
    bochs_files().ok_or_else(|| missing(&[&BOCHS]).into())
}

/// What builds a boot image for BIOS and UEFI.
const BOOT_LOADER: [Need; 4] = [
    Need {
        what: "grub-mkrescue with its modules for BIOS",
        present: || grub("mkrescue").is_some() && Path::new(GRUB_BIOS).is_dir(),
        debian: "grub-common grub-pc-bin",
        fedora: "grub2-tools-extra grub2-pc-modules",
        arch: "grub",
        brew: "",
    },
    Need {
        what: "GRUB's modules for UEFI",
        present: || Path::new(GRUB_UEFI).is_dir(),
        debian: "grub-efi-amd64-bin",
        fedora: "grub2-efi-x64-modules",
        arch: "grub",
        brew: "",
    },
    Need {
        what: "xorriso",
        present: || find_program("xorriso").is_some(),
        debian: "xorriso",
        fedora: "xorriso",
        arch: "libisoburn",
        brew: "xorriso",
    },
    Need {
        what: "mformat",
        present: || find_program("mformat").is_some(),
        debian: "mtools",
        fedora: "mtools",
        arch: "mtools",
        brew: "mtools",
    },
];

/// Where distributions put GRUB's modules for a BIOS.
pub const GRUB_BIOS: &str = "/usr/lib/grub/i386-pc";
const GRUB_UEFI: &str = "/usr/lib/grub/x86_64-efi";

const FIRMWARE: Need = Need {
    what: "the UEFI firmware OVMF",
    present: || find_firmware().is_some(),
    debian: "ovmf",
    fedora: "edk2-ovmf",
    arch: "edk2-ovmf",
    brew: "",
};

const NETWORK_BOOT: Need = Need {
    what: "the boot program of QEMU's network cards",
    present: || NETWORK_ROMS.iter().any(|rom| Path::new(rom).is_file()),
    debian: "ipxe-qemu",
    fedora: "ipxe-roms-qemu",
    arch: "qemu-system-x86-firmware",
    brew: "",
};

/// Where distributions put it.
const NETWORK_ROMS: [&str; 3] = [
    "/usr/lib/ipxe/qemu/pxe-e1000.rom",
    "/usr/share/ipxe/qemu/pxe-e1000.rom",
    "/usr/share/qemu/pxe-e1000.rom",
];

/// Provides what boots a guest from the network.
///
/// # Errors
///
/// It is missing and cannot be installed: the error names the command that installs it.
pub fn network_boot(install: Install, verbosity: Verbosity) -> Result<()> {
    provide(&[NETWORK_BOOT], install, verbosity)
}

/// Reads QR codes from pictures: the second decoder.
const BARCODES: Need = Need {
    what: ZBARIMG,
    present: || find_program(ZBARIMG).is_some(),
    debian: "zbar-tools",
    fedora: "zbar",
    arch: "zbar",
    brew: "zbar",
};
const ZBARIMG: &str = "zbarimg";

/// Returns the program that reads QR codes from pictures.
///
/// # Errors
///
/// It is missing and cannot be installed: the error names the command that installs it.
pub fn barcodes(install: Install, verbosity: Verbosity) -> Result<PathBuf> {
    program(BARCODES, install, verbosity)
}

/// Counts instructions.
const COUNTER: Need = Need {
    what: VALGRIND,
    present: || find_program(VALGRIND).is_some(),
    debian: "valgrind",
    fedora: "valgrind",
    arch: "valgrind",
    brew: "valgrind",
};
const VALGRIND: &str = "valgrind";

/// Returns the program that counts instructions.
///
/// # Errors
///
/// It is missing and cannot be installed: the error names the command that installs it.
pub fn valgrind(install: Install, verbosity: Verbosity) -> Result<PathBuf> {
    program(COUNTER, install, verbosity)
}

/// Provides what is one program, and returns that.
fn program(need: Need, install: Install, verbosity: Verbosity) -> Result<PathBuf> {
    let needs = [need];
    provide(&needs, install, verbosity)?;
    let [need] = &needs;
    find_program(need.what).ok_or_else(|| missing(&[need]).into())
}

/// Where distributions put the firmware: its code and its empty variables.
const FIRMWARES: [(&str, &str); 4] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
];

/// A UEFI firmware for the emulator.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// Its code, which is only read.
    pub code: PathBuf,
    /// Its empty variables, to be copied.
    pub variables: PathBuf,
}

fn find_firmware() -> Option<Firmware> {
    FIRMWARES
        .iter()
        .map(|(code, variables)| Firmware {
            code: code.into(),
            variables: variables.into(),
        })
        .find(|firmware| firmware.code.is_file() && firmware.variables.is_file())
}

/// Returns the program of GRUB with this name: distributions call it by either of two.
pub fn grub(name: &str) -> Option<PathBuf> {
    find_program(&format!("grub-{name}")).or_else(|| find_program(&format!("grub2-{name}")))
}

/// Provides what builds a boot image.
///
/// # Errors
///
/// It is missing and cannot be installed: the error names the command that installs it.
pub fn boot_loader(install: Install, verbosity: Verbosity) -> Result<()> {
    provide(&BOOT_LOADER, install, verbosity)
}

/// Returns the UEFI firmware for the emulator.
///
/// # Errors
///
/// It is missing and cannot be installed: the error names the command that installs it.
pub fn firmware(install: Install, verbosity: Verbosity) -> Result<Firmware> {
    provide(&[FIRMWARE], install, verbosity)?;
    find_firmware().ok_or_else(|| missing(&[&FIRMWARE]).into())
}

/// An emulator that answers.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// The program.
    pub path: PathBuf,
    /// The first line of `--version`.
    pub version: String,
}

/// Finds or installs the emulator, and prints which one it is.
///
/// # Errors
///
/// As [`qemu`].
pub fn emulator(named: Option<&Path>, verbosity: Verbosity) -> Result<Qemu> {
    let qemu = qemu(named, Install::Allowed, verbosity)?;
    outln!("{} ({})", qemu.version, qemu.path.display());
    Ok(qemu)
}

/// Returns an emulator: the one named, else the one in PATH, else one installed now.
///
/// # Errors
///
/// It is missing and cannot be installed: the error names the command that installs it.
pub fn qemu(named: Option<&Path>, install: Install, verbosity: Verbosity) -> Result<Qemu> {
    let path = match (named, find_program(QEMU)) {
        (Some(path), _) => path.to_owned(),
        (None, Some(path)) => path,
        (None, None) => {
            provide(&[EMULATOR], install, verbosity)?;
            find_program(QEMU).ok_or_else(|| missing(&[&EMULATOR]))?
        }
    };
    let path = if named.is_some() && path.components().count() == 1 {
        find_program(&path.to_string_lossy()).unwrap_or(path)
    } else {
        path
    };
    if !is_executable(&path) {
        let message = format!(
            "{} is not a program; give --qemu the path of {QEMU}",
            path.display()
        );
        return Err(Fault::new(Reason::Environment, message).into());
    }
    let version = version(&path, verbosity)?;
    Ok(Qemu { path, version })
}

fn version(path: &Path, verbosity: Verbosity) -> Result<String> {
    let program = crate::process::utf8(path)?;
    let captured = Cmd::new(program).arg("--version").capture(verbosity)?;
    let first = captured
        .stdout
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    if !captured.status.success() || !first.contains("QEMU") {
        let message =
            format!("`{program} --version` does not answer like QEMU but {first:?}; reinstall it");
        return Err(Fault::new(Reason::Environment, message).into());
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_qemu_must_be_a_program() {
        let error = qemu(
            Some(Path::new("/no/such/qemu")),
            Install::Never,
            Verbosity::Normal,
        )
        .unwrap_err();
        assert!(error.to_string().contains("/no/such/qemu"), "{error}");
        let error = qemu(
            Some(Path::new("/etc/passwd")),
            Install::Never,
            Verbosity::Normal,
        )
        .unwrap_err();
        assert!(error.to_string().contains("is not a program"), "{error}");
    }

    #[test]
    fn a_named_qemu_must_answer_like_one() {
        let error = qemu(
            Some(Path::new("/bin/true")),
            Install::Never,
            Verbosity::Normal,
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("does not answer like QEMU"),
            "{error}"
        );
    }

    #[test]
    fn the_remedy_is_a_command() {
        let fault = missing(&[&EMULATOR]);
        assert!(fault.message.contains("qemu"), "{}", fault.message);
        assert_eq!(fault.reason, Reason::Environment);
        let all: Vec<_> = BOOT_LOADER.iter().collect();
        let message = missing(&all).message;
        assert!(
            message.contains("xorriso") && message.contains("grub"),
            "{message}"
        );
    }
}
