//! Why xtask ends without success, and with which exit code.

use std::fmt;
use std::process::ExitCode;

/// The exit codes, as `--help` lists them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  everything passed
  1  a test or stage failed, a kernel did not build, or a sabotage was caught
  2  wrong usage
  3  a program is missing (run `cargo xtask setup`), or a file could not be used
  4  the guest hung, panicked or died
  5  a sabotage was NOT caught
  130  interrupted by Ctrl-C
  141  the reader of the output went away";

/// The reason a command did not succeed, each with its exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A test or stage failed.
    Failed,
    /// An option has a value that cannot be used.
    Usage,
    /// The machine lacks a program, or a file could not be used.
    Environment,
    /// The guest hung, panicked or died.
    Guest,
    /// A sabotage was not caught.
    NotCaught,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The reader of the output went away: there is no one to tell.
    OutputClosed,
}

impl Reason {
    /// Returns the number that the process exits with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::Guest => 4,
            Self::NotCaught => 5,
            Self::Interrupted => 130,
            Self::OutputClosed => 141,
        }
    }
}

impl Reason {
    /// Returns whether nothing that could still be done is of use.
    #[must_use]
    pub const fn ends_all(self) -> bool {
        matches!(self, Self::Interrupted | Self::OutputClosed)
    }
}

impl From<Reason> for ExitCode {
    fn from(reason: Reason) -> Self {
        Self::from(reason.code())
    }
}

/// An error that chooses its exit code; any other error is [`Reason::Environment`].
#[derive(Debug)]
pub struct Fault {
    /// Decides the exit code.
    pub reason: Reason,
    /// One sentence with the value and the remedy.
    pub message: String,
}

impl Fault {
    /// Returns an error of that reason with that sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Returns the reason that `error` carries.
pub fn reason_of(error: &anyhow::Error) -> Reason {
    error
        .downcast_ref::<Fault>()
        .map_or(Reason::Environment, |fault| fault.reason)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn context_does_not_hide_the_reason() {
        let error = Err::<(), _>(Fault::new(Reason::Guest, "hung"))
            .context("4 CPUs")
            .unwrap_err();
        assert_eq!(reason_of(&error), Reason::Guest);
        assert_eq!(
            reason_of(&anyhow::anyhow!("disk full")),
            Reason::Environment
        );
    }
}
