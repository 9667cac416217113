//! The user's terminal as the guest's keyboard.

use std::io::{self, IsTerminal as _, Read as _, Write};
use std::thread;

use anyhow::{Context as _, Result};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Where the guest's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyboard {
    /// The terminal on which the command runs.
    Terminal,
    /// There is no keyboard.
    None,
}

impl Keyboard {
    /// Returns the terminal if input and output are one.
    #[must_use]
    pub fn of_this_command() -> Self {
        match io::stdin().is_terminal() && io::stdout().is_terminal() {
            true => Self::Terminal,
            false => Self::None,
        }
    }
}

/// A terminal that hands over each key at once and echoes none, as the guest does that. Ctrl-C
/// still ends the command. The terminal is as before when the value ends.
#[derive(Debug)]
pub(crate) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Takes the terminal of standard input.
    ///
    /// # Errors
    ///
    /// It cannot be set.
    pub(crate) fn take() -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("cannot read the terminal's mode")?;
        let mut raw = before.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)
            .context("cannot set the terminal's mode")?;
        Ok(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that went away needs no mode.
        let _result = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Copies keys to the guest until one of both ends.
pub(crate) fn copy_keys(mut guest: impl Write + Send + 'static) {
    thread::spawn(move || {
        let mut keys = [0; 256];
        while let Ok(length @ 1..) = io::stdin().read(&mut keys) {
            let Some(keys) = keys.get(..length) else {
                return;
            };
            if guest.write_all(keys).and_then(|()| guest.flush()).is_err() {
                return;
            }
        }
    });
}
