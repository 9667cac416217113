//! Ctrl-C and SIGTERM: noted here, obeyed by every wait, so that guards end children and remove
//! unfinished files.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};

use crate::exit_code::{Fault, Reason};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler; called once, at the start.
///
/// # Errors
///
/// A handler is installed already.
pub fn install() -> Result<()> {
    // A lone flag that guards no other data: Relaxed is enough.
    ctrlc::set_handler(|| REQUESTED.store(true, Ordering::Relaxed)).context("cannot handle Ctrl-C")
}

/// Fails once the user asked for an end.
///
/// # Errors
///
/// Ctrl-C or SIGTERM came.
pub fn check() -> Result<()> {
    if REQUESTED.load(Ordering::Relaxed) {
        return Err(Fault::new(
            Reason::Interrupted,
            "interrupted; whatever was running has been ended",
        )
        .into());
    }
    Ok(())
}
