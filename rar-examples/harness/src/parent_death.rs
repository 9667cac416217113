//! Children that end with this program, even if it is killed by SIGKILL.
//!
//! A signal on the parent's death survives `exec`. So the program starts itself with a hidden word;
//! that process asks the kernel for the signal, then becomes the child.

use std::ffi::OsString;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// The hidden word.
const WORD: &str = "__end-with-parent";

/// Whether this program knows the hidden word. Guards no other data: Relaxed is enough.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// Becomes the child if this process was started to be one; otherwise lets children begin so from
/// now on. Called first in `main`.
///
/// # Errors
///
/// The child cannot be started.
pub fn install() -> std::io::Result<()> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|word| word == WORD) {
        return become_child(args);
    }
    KNOWN.store(cfg!(target_os = "linux"), Ordering::Relaxed);
    Ok(())
}

/// Returns the command that starts `program` as a child that ends with this one.
pub(crate) fn command(program: &str) -> Command {
    if !KNOWN.load(Ordering::Relaxed) {
        return Command::new(program);
    }
    // By this name the program is found even if a build has replaced its file.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(WORD)
        .arg(std::process::id().to_string())
        .arg(program);
    command
}

#[cfg(target_os = "linux")]
fn become_child(mut args: impl Iterator<Item = OsString>) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))?;
    let (parent, program) = (args.next(), args.next().unwrap_or_default());
    let now = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if now.is_none_or(|now| parent != Some(now.into())) {
        return Err(std::io::Error::other("the parent has ended already"));
    }
    Err(Command::new(program).args(args).exec())
}

#[cfg(not(target_os = "linux"))]
fn become_child(_: impl Iterator<Item = OsString>) -> std::io::Result<()> {
    Err(std::io::Error::other("this system has no such signal"))
}
