//! The example of the shim: a kernel of another workspace boots and uses its RAR unit.

use crate::cli::Thread;
use crate::qemu::guest;
use crate::qemu::judge::{Ending, PASSED};
use crate::setup::Qemu;
use anyhow::Result;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::kernel;
use rar_harness::process::{Verbosity, utf8};
use rar_harness::workspace::Workspace;
use std::time::Duration;

const PACKAGE: &str = "rar-vrar-example";
const LIMIT: Duration = Duration::from_secs(60);

/// Builds the example, boots it on one CPU, and checks that it ends well.
pub(crate) fn check(workspace: &Workspace, qemu: &Qemu, verbosity: Verbosity) -> Result<()> {
    let root = workspace.root.join("rar-examples/vrar/example");
    let kernel =
        kernel::build_foreign(&root, &workspace.target.join("example"), PACKAGE, verbosity)?;
    let cmd = guest::bare(&qemu.path, "q35", "max", Thread::Single)?
        .args(["-m", "512M", "-serial", "stdio"])
        .args(["-kernel", utf8(&kernel)?]);
    let finished = guest::run(&cmd, LIMIT, verbosity, |_| {})?;
    if finished.ending == Ending::Exited(PASSED) {
        return Ok(());
    }
    let said = finished.transcript.lines.join("; ");
    let message = format!("{PACKAGE} ended with {:?}: {said}", finished.ending);
    Err(Fault::new(Reason::Failed, message).into())
}
