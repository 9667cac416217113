//! Reasons to end early: Ctrl-C, SIGTERM, and an output that cannot be written.
//!
//! They are noted here and obeyed by every wait, so that guards end children and remove unfinished
//! files.

use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context as _, Result};

use crate::exit_code::{Fault, Reason};

/// Why a command is to end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Request {
    /// The user interrupted it.
    User = 1,
    /// The reader of its output went away.
    OutputClosed,
    /// Its output cannot be written.
    OutputFailed,
}

/// The first request, or 0. It guards no other data: Relaxed is enough.
static REQUESTED: AtomicU8 = AtomicU8::new(0);

/// Installs the handler of Ctrl-C and SIGTERM; called once, at the start.
///
/// # Errors
///
/// A handler is installed already.
pub fn install() -> Result<()> {
    ctrlc::set_handler(|| request(Request::User)).context("cannot handle Ctrl-C")
}

/// Asks the command to end; the first request decides why.
pub fn request(why: Request) {
    // A later request changes nothing.
    let _first = REQUESTED.compare_exchange(0, why as u8, Ordering::Relaxed, Ordering::Relaxed);
}

/// Fails once the command is to end.
///
/// # Errors
///
/// Ctrl-C or SIGTERM came, or the output cannot be written.
pub fn check() -> Result<()> {
    match REQUESTED.load(Ordering::Relaxed) {
        0 => Ok(()),
        why if why == Request::User as u8 => Err(Fault::new(
            Reason::Interrupted,
            "interrupted; whatever was running has been ended",
        )
        .into()),
        _ => check_output(),
    }
}

/// Fails if something could not be printed.
///
/// # Errors
///
/// The reader of the output went away, or the output cannot be written.
pub fn check_output() -> Result<()> {
    let fault = |reason, message| Err(Fault::new(reason, message).into());
    match REQUESTED.load(Ordering::Relaxed) {
        why if why == Request::OutputClosed as u8 => {
            fault(Reason::OutputClosed, "the reader of the output went away")
        }
        why if why == Request::OutputFailed as u8 => fault(
            Reason::Environment,
            "the output cannot be written: is its disk full?",
        ),
        _ => Ok(()),
    }
}
