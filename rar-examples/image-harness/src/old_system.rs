//! Whether the old system of a machine starts where it should: after the image, or instead of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::ending::{Ending, PASSED};
use rar_harness::guest::Finished;
use rar_vocabulary::Counts;

use crate::grub_disk::OLD_SYSTEM;

/// Returns a copy of a disk in this folder, which GRUB may write.
///
/// # Errors
///
/// It cannot be copied.
pub(crate) fn own_copy(image: &Path, folder: &Path) -> Result<PathBuf> {
    let own = folder.join("disk");
    fs::copy(image, &own).with_context(|| format!("cannot copy {}", image.display()))?;
    Ok(own)
}

/// The old system starts, and the image does not.
pub(crate) fn old_system_runs(finished: &Finished) -> Result<(), String> {
    // A UEFI firmware puts its own signs for a terminal around it.
    let mut lines = finished.transcript.lines.iter();
    if lines.clone().any(|line| line.starts_with("verdict: ")) {
        return Err("the image ran, where the old system should".to_owned());
    }
    match lines.any(|line| line.contains(OLD_SYSTEM)) && finished.ending == Ending::Exited(PASSED) {
        true => Ok(()),
        false => Err(format!(
            "the old system does not start: QEMU ended with {:?}",
            finished.ending
        )),
    }
}

/// The old system starts, the image does not, and the reason stands before it.
pub(crate) fn kept(why: &str, finished: &Finished) -> Result<Counts, String> {
    old_system_runs(finished)?;
    let mut lines = finished.transcript.lines.iter();
    match lines.any(|line| line.trim() == why) {
        true => Ok(Counts {
            skipped: 1,
            ..Counts::NONE
        }),
        false => Err(format!("it does not say `{why}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected_report::tests::finished;

    #[test]
    fn an_old_system_is_shown_by_its_line_and_its_exit() {
        let reason = "not started";
        let judged = |lines: &[&str], code| kept(reason, &finished(lines, code));
        let line = format!("{OLD_SYSTEM}\r");
        assert!(judged(&[reason, &line], PASSED).is_ok());
        for (lines, code) in [
            (&[reason, &line][..], 0),
            (&[reason], PASSED),
            (&[&line], PASSED),
            (&[reason, "verdict: holds", &line], PASSED),
        ] {
            assert!(judged(lines, code).is_err(), "{lines:?}");
        }
    }
}
