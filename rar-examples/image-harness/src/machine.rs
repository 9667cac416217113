//! The machine that boots an image in QEMU.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use rar_harness::guest;
use rar_harness::modes::Thread;
use rar_harness::process::{Cmd, utf8};
use rar_harness::run::escape;
use rar_harness::setup::Firmware;

use crate::bus_writes::BusWrites;
use crate::deaf_peer::Deaf;

/// The options that boot machines which are described elsewhere.
pub const CATALOGUE: &str = "catalogue";
/// The options that boot a machine: those, and `run`.
pub const BOOTS: &str = "boots";

/// The machine that QEMU plays.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct MachineArgs {
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 4, requires = "run", conflicts_with = CATALOGUE,
          value_parser = clap::value_parser!(u32).range(1..=255))]
    pub cpus: u32,
    /// MiB of memory
    #[arg(long, value_name = "MIB", default_value_t = 512,
          requires = "run", conflicts_with = CATALOGUE,
          value_parser = clap::value_parser!(u32).range(16..))]
    pub memory: u32,
    /// QEMU's machine type, with its options
    #[arg(long, value_name = "TYPE", default_value = "q35",
          requires = "run", conflicts_with = CATALOGUE)]
    pub machine: String,
    /// QEMU's CPU model
    #[arg(long, value_name = "MODEL", default_value = "max",
          requires = "run", conflicts_with = CATALOGUE)]
    pub cpu: String,
    /// QEMU's graphics card; `none` for a machine without
    #[arg(long, value_name = "CARD", default_value = "std",
          requires = "run", conflicts_with = CATALOGUE)]
    pub vga: String,
    /// A machine without a serial port: only the screen tells
    #[arg(long, requires = "run", conflicts_with = CATALOGUE)]
    pub no_serial: bool,
    /// A serial port whose peer never reads: only the screen tells
    #[arg(long, value_enum, value_name = "FROM", num_args = 0..=1, default_missing_value = "later",
          requires = "run", conflicts_with_all = [CATALOGUE, "no_serial"])]
    pub deaf_serial: Option<Deaf>,
    /// One more argument for QEMU (may be given again)
    #[arg(
        long = "qemu-arg",
        value_name = "WORD",
        requires = "run", conflicts_with = CATALOGUE,
        allow_hyphen_values = true
    )]
    pub more: Vec<String>,
    /// TCG's threads
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Thread::Single,
          requires = "run", conflicts_with = CATALOGUE)]
    pub thread: Thread,
    /// Keep a picture of the screen in DIR each time it differs, and what the report's codes on it
    /// say; turn its pages once they are read
    #[arg(long, value_name = "DIR", requires = "run", conflicts_with = CATALOGUE)]
    pub screenshots: Option<PathBuf>,
    /// Read the codes on the screen though no picture is kept.
    #[arg(skip)]
    pub read_codes: bool,
    /// What is stored into the guest from outside.
    #[arg(skip)]
    pub(crate) bus_writes: Option<BusWrites>,
    /// Kill the guest after this many seconds
    #[arg(long, value_name = "SECS", default_value_t = 600,
          requires = "run", conflicts_with = CATALOGUE,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// The emulator [default: qemu-system-x86_64 in PATH]
    #[arg(long, value_name = "PATH", requires = BOOTS)]
    pub qemu: Option<PathBuf>,
}

impl MachineArgs {
    /// Returns the machine of the default options, except these.
    pub fn usual(cpus: u32, thread: Thread, timeout: u64) -> Self {
        Self {
            cpus,
            memory: 512,
            machine: "q35".to_owned(),
            cpu: "max".to_owned(),
            vga: "std".to_owned(),
            no_serial: false,
            deaf_serial: None,
            more: Vec::new(),
            thread,
            screenshots: None,
            read_codes: false,
            bus_writes: None,
            timeout,
            qemu: None,
        }
    }

    /// Returns whether the console can be read.
    #[must_use]
    pub const fn has_console(&self) -> bool {
        !self.no_serial && self.deaf_serial.is_none()
    }
}

/// How an image is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Boot {
    /// By a BIOS, from a CD
    Bios,
    /// By a UEFI firmware, from a CD
    Uefi,
    /// By a UEFI firmware, from a USB stick
    Usb,
    /// By a BIOS, from a USB stick
    BiosUsb,
    /// By a BIOS, from the network
    Pxe,
    /// By a UEFI firmware, from the network
    UefiPxe,
    /// By a BIOS, from the GRUB of an old system's disk
    #[value(skip)]
    Disk,
    /// By a UEFI firmware, from the GRUB of an old system's disk
    #[value(skip)]
    UefiDisk,
    /// By a BIOS, from the GRUB of an old system's disk that GRUB cannot write
    #[value(skip)]
    LockedDisk,
}

/// Files of one boot.
#[derive(Clone, Copy, Debug)]
pub struct Files<'f> {
    /// The emulator.
    pub qemu: &'f Path,
    /// The image: an ISO file, the disk of an old system, or for a boot from the network the folder
    /// of a TFTP server.
    pub image: &'f Path,
    /// The firmware, for a boot by UEFI, with variables that may be written.
    pub firmware: Option<&'f Firmware>,
    /// The monitor's socket, if somebody listens.
    pub monitor: Option<&'f Path>,
    /// The pipes of a serial port whose peer never reads, instead of a console.
    pub deaf_peer: Option<&'f Path>,
    /// The socket for stores into the guest, if somebody makes them.
    pub bus: Option<&'f Path>,
}

/// Returns the QEMU command that boots an image; its console, if it can be read, comes on standard
/// output.
///
/// # Errors
///
/// A path is not UTF-8.
pub fn qemu(boot: Boot, machine: &MachineArgs, files: Files<'_>) -> Result<Cmd> {
    let mut cmd = guest::bare(files.qemu, &machine.machine, &machine.cpu, machine.thread)?
        .args(["-smp", &machine.cpus.to_string()])
        .args(["-m", &format!("{}M", machine.memory)])
        .args(["-vga", &machine.vga]);
    if machine.has_console() {
        cmd = cmd.args(["-serial", "stdio"]);
    }
    if let Some(peer) = files.deaf_peer {
        cmd = cmd.args(["-serial", &format!("pipe:{}", utf8(peer)?)]);
    }
    if let Some(firmware) = files.firmware {
        let (code, variables) = (utf8(&firmware.code)?, utf8(&firmware.variables)?);
        let flash = "if=pflash,format=raw";
        cmd = cmd.args([
            "-drive",
            &format!("{flash},readonly=on,file={}", escape(code)),
            "-drive",
            &format!("{flash},file={}", escape(variables)),
        ]);
    }
    let image = escape(utf8(files.image)?);
    let medium = format!("format=raw,readonly=on,file={image}");
    let network = |program: &str| {
        let host = format!("user,id=net,restrict=on,tftp={image},bootfile=boot/grub/{program}");
        ["-netdev".to_owned(), host]
    };
    cmd = match boot {
        Boot::Bios | Boot::Uefi => cmd.args(["-drive", &format!("media=cdrom,{medium}")]),
        Boot::Disk | Boot::UefiDisk => cmd.args(["-drive", &format!("format=raw,file={image}")]),
        Boot::Usb | Boot::BiosUsb | Boot::LockedDisk => cmd.args([
            "-device",
            "qemu-xhci",
            "-drive",
            &format!("if=none,id=stick,{medium}"),
            "-device",
            "usb-storage,drive=stick",
        ]),
        Boot::Pxe => cmd
            .args(network("i386-pc/core.0"))
            .args(["-device", "e1000,netdev=net"]),
        Boot::UefiPxe => cmd
            .args(network("x86_64-efi/core.efi"))
            .args(["-device", "e1000,netdev=net"]),
    };
    cmd = cmd.args(machine.more.iter().map(String::as_str));
    if let Some(socket) = files.monitor {
        let socket = escape(utf8(socket)?);
        cmd = cmd.args(["-qmp", &format!("unix:{socket},server=on,wait=off")]);
    }
    if let Some(socket) = files.bus {
        let socket = escape(utf8(socket)?);
        cmd = cmd.args(["-qtest", &format!("unix:{socket},server=on,wait=off")]);
        // Else every store is a line of QEMU's errors.
        cmd = cmd.args(["-qtest-log", "none"]);
    }
    Ok(cmd)
}

/// Returns whether a firmware file is needed.
pub const fn by_uefi(boot: Boot) -> bool {
    match boot {
        Boot::Uefi | Boot::Usb | Boot::UefiPxe | Boot::UefiDisk => true,
        Boot::Bios | Boot::BiosUsb | Boot::Pxe | Boot::Disk | Boot::LockedDisk => false,
    }
}

/// Returns whether the image is the disk of an old system.
pub const fn by_old_system(boot: Boot) -> bool {
    matches!(boot, Boot::Disk | Boot::UefiDisk | Boot::LockedDisk)
}

/// Returns whether the image is the folder of a TFTP server.
pub const fn by_network(boot: Boot) -> bool {
    matches!(boot, Boot::Pxe | Boot::UefiPxe)
}
