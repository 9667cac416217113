//! How a guest ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, bail};

/// QEMU's exit code when the guest wrote 0x10: every test passed.
pub const PASSED: i32 = 33;
/// The guest wrote 0x11: some test failed.
pub const FAILED: i32 = 35;
/// The guest wrote 0x12: a panic.
pub const PANICKED: i32 = 37;

/// How QEMU ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with that exit code.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
    /// It was killed at its deadline.
    TimedOut(Duration),
}

impl Ending {
    /// How a guest ends by itself whose tests passed.
    pub const PASSED: Self = Self::Exited(PASSED);

    /// How a guest ends by itself if a test failed.
    pub const FAILED: Self = Self::Exited(FAILED);

    /// Returns how QEMU ended.
    ///
    /// # Errors
    ///
    /// It ended with neither a code nor a signal.
    pub fn of(status: ExitStatus) -> Result<Self> {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ok(Self::Exited(code)),
            (None, Some(signal)) => Ok(Self::Signalled(signal)),
            (None, None) => bail!("QEMU ended in no known way: {status}"),
        }
    }
}
