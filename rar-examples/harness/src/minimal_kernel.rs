//! Boots the kernel of the porting guide, which flushes through the ready x86 machine.

use std::time::Duration;

use anyhow::Result;

use crate::ending::{Ending, PASSED};
use crate::exit_code::{Fault, Reason};
use crate::modes::Thread;
use crate::process::{Verbosity, utf8};
use crate::progress::Step;
use crate::setup::Qemu;
use crate::workspace::Workspace;
use crate::{guest, kernel};

/// The kernel on each backend: as it is, and with the shim beneath it.
const PACKAGES: [(&str, &str); 2] = [("software", "rar-minimal"), ("vrar", "rar-minimal-vrar")];
const LIMIT: Duration = Duration::from_secs(60);

/// What the guest must print: the positive control, the flush, and the frame that came back.
const MUST_SAY: [&str; 3] = [
    "stale before the flush 0x1111, new after it 0x2222",
    "freed",
    "passed",
];

/// Boots the kernel on two CPUs, on each backend, and returns what it said.
///
/// # Errors
///
/// It does not build, QEMU cannot be started, or the guest does not do what it must.
pub fn boot(workspace: &Workspace, qemu: &Qemu, verbosity: Verbosity) -> Result<Vec<String>> {
    let step = Step::new("the kernel of the porting guide", verbosity);
    let mut said = Vec::new();
    for (backend, package) in PACKAGES {
        let kernel = kernel::build(workspace, &kernel::target(workspace), package, verbosity)?;
        let cmd = guest::bare(&qemu.path, "q35", "max", Thread::Single)?
            .args(["-m", "512M", "-smp", "2", "-serial", "stdio"])
            .args(["-kernel", utf8(&kernel)?])
            .args(["-append", &format!("backends={backend}")]);
        let finished = guest::run(&cmd, LIMIT, verbosity, |_| {})?;
        let lines = &finished.transcript.lines;
        let missing = MUST_SAY
            .iter()
            .chain((backend == "vrar").then_some(&"RAR: 64 entries"))
            .chain((backend == "software").then_some(&"software answers: "))
            .find(|words| !lines.iter().any(|line| line.contains(**words)));
        if finished.ending != Ending::Exited(PASSED) || missing.is_some() {
            let why = missing.map_or_else(String::new, |words| format!(", without `{words}`"));
            let message = format!(
                "{package}: ended with {:?}{why}; it said: {}",
                finished.ending,
                lines.join("; ")
            );
            return Err(Fault::new(Reason::Failed, message).into());
        }
        said.extend(lines.iter().map(|line| format!("{backend}: {line}")));
    }
    drop(step);
    Ok(said)
}
