//! How Bochs is started.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rar_harness::process::{Cmd, utf8};
use rar_harness::setup::Bochs;

use super::BochsArgs;

/// Returns the command that boots an image; its serial port comes on standard output.
pub(super) fn command(bochs: &Bochs, args: &BochsArgs, folder: &Path, iso: &Path) -> Result<Cmd> {
    let (settings, orders, log) = (
        folder.join("bochsrc"),
        folder.join("orders"),
        folder.join("bochs.log"),
    );
    // RFB is the one display that needs neither screen nor terminal. Without VBE: GRUB 2.06 does
    // not survive its modes here.
    let text = format!(
        "display_library: rfb, options=\"timeout=0\"\n\
         plugin_ctrl: speaker=0, usb_uhci=0, parallel=0, gameport=0\n\
         cpu: count={}, model={}, ips=20000000, reset_on_triple_fault=0\n\
         clock: sync=none\n\
         megs: 512\n\
         romimage: file={}\n\
         vgaromimage: file={}\n\
         vga: extension=none\n\
         ata0-master: type=cdrom, path={}, status=inserted\n\
         boot: cdrom\n\
         com1: enabled=1, mode=file, dev=/dev/stdout\n\
         log: {}\n\
         panic: action=fatal\n",
        args.cpus,
        args.model,
        bochs.bios,
        bochs.vga_bios,
        utf8(iso)?,
        utf8(&log)?
    );
    let cannot = || format!("cannot write into {}", folder.display());
    fs::write(&settings, text).with_context(cannot)?;
    // Debian's Bochs has its debugger, which waits for the order to continue.
    fs::write(&orders, "c\n").with_context(cannot)?;
    let cmd = Cmd::new(utf8(&bochs.program)?).args(["-q", "-f", utf8(&settings)?]);
    Ok(cmd.args(["-rc", utf8(&orders)?]))
}
