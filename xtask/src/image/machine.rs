//! The machine that boots an image in QEMU.

use crate::cli::{Boot, MachineArgs};
use crate::qemu::guest;
use crate::qemu::plan::escape;
use crate::setup::Firmware;
use anyhow::Result;
use rar_harness::process::{Cmd, utf8};
use std::path::Path;

/// Files of one boot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files<'f> {
    /// The emulator.
    pub(crate) qemu: &'f Path,
    /// The image: an ISO file, or for a boot from the network the folder of a TFTP server.
    pub(crate) image: &'f Path,
    /// The firmware, for a boot by UEFI, with variables that may be written.
    pub(crate) firmware: Option<&'f Firmware>,
    /// The monitor's socket, if somebody listens.
    pub(crate) monitor: Option<&'f Path>,
}

/// Returns the QEMU command that boots an image; its console comes on standard output.
pub(crate) fn qemu(boot: Boot, machine: &MachineArgs, files: Files<'_>) -> Result<Cmd> {
    let mut cmd = guest::bare(files.qemu, &machine.machine, &machine.cpu, machine.thread)?
        .args(["-smp", &machine.cpus.to_string()])
        .args(["-m", &format!("{}M", machine.memory)])
        .args(["-vga", &machine.vga]);
    if !machine.no_serial {
        cmd = cmd.args(["-serial", "stdio"]);
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
        Boot::Usb | Boot::BiosUsb => cmd.args([
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
    Ok(cmd)
}

/// Returns whether a firmware file is needed.
pub(crate) const fn by_uefi(boot: Boot) -> bool {
    match boot {
        Boot::Uefi | Boot::Usb | Boot::UefiPxe => true,
        Boot::Bios | Boot::BiosUsb | Boot::Pxe => false,
    }
}

/// Returns whether the image is the folder of a TFTP server.
pub(crate) const fn by_network(boot: Boot) -> bool {
    matches!(boot, Boot::Pxe | Boot::UefiPxe)
}
