//! The example of the shim: a kernel of another workspace boots and uses its RAR unit.

use crate::command::{Cmd, Shell, utf8};
use crate::fault::{Fault, Reason};
use crate::kernel;
use crate::qemu::guest;
use crate::qemu::judge::{Ending, PASSED};
use crate::setup::Qemu;
use crate::workspace::Workspace;
use anyhow::Result;
use std::time::Duration;

const PACKAGE: &str = "rar-vrar-example";
const LIMIT: Duration = Duration::from_secs(60);

/// Builds the example, boots it on one CPU, and checks that it ends well.
pub(crate) fn check(workspace: &Workspace, qemu: &Qemu, shell: Shell) -> Result<()> {
    let root = workspace.root.join("rar-examples/vrar/example");
    let kernel = kernel::build_foreign(&root, &workspace.target.join("example"), PACKAGE, shell)?;
    let cmd = Cmd::new(utf8(&qemu.path)?)
        .args([
            "-no-user-config",
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args([
            "-machine",
            "q35",
            "-accel",
            "tcg,thread=single",
            "-cpu",
            "max",
        ])
        .args(["-m", "512M", "-serial", "stdio"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .args(["-kernel", utf8(&kernel)?]);
    let finished = guest::run(&cmd, LIMIT, shell, |_| {})?;
    if finished.ending == Ending::Exited(PASSED) {
        return Ok(());
    }
    let said = finished.transcript.lines.join("; ");
    let message = format!("{PACKAGE} ended with {:?}: {said}", finished.ending);
    Err(Fault::new(Reason::Failed, message).into())
}
