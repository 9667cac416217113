//! The example of the shim: a kernel of another workspace boots and uses its RAR unit.

use std::time::Duration;

use anyhow::Result;
use rar_harness::ending::{Ending, PASSED};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::modes::Thread;
use rar_harness::process::{Verbosity, utf8};
use rar_harness::setup::Qemu;
use rar_harness::workspace::Workspace;
use rar_harness::{guest, kernel};

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
