//! Debian's memtest86+: a program that is not ours, has no operating system below it, and uses all
//! CPUs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::ending::Ending;
use rar_harness::process::Verbosity;
use rar_harness::rescue_image::{self, Modules};
use rar_harness::setup::debian::unpacked;
use rar_harness::setup::{self, Install};

use crate::boot::{BootEnd, Booted};

/// The package, and the program in it.
const PACKAGE: &str = "memtest86+";
const PROGRAM: &str = "boot/memtest86+x64.bin";

/// What boots it, with its screen on the serial line.
const MENU: &str = "\
set timeout=0
menuentry memtest86+ {
  linux /boot/memtest console=ttyS0,115200
}
";
const MODULES: &str = "linux normal iso9660 part_msdos";

/// How long it must have tested, by its own clock.
const LEAST_SECONDS: u64 = 60;

/// Writes a CD that boots it into a folder.
///
/// # Errors
///
/// The package or GRUB cannot be had.
pub(crate) fn cd(cache: &Path, folder: &Path, verbosity: Verbosity) -> Result<PathBuf> {
    let program = unpacked(PACKAGE, cache, verbosity)?.join(PROGRAM);
    setup::boot_loader(Install::Allowed, verbosity)?;
    let files = folder.join("memory-test");
    let cannot = || format!("cannot write into {}", folder.display());
    fs::create_dir_all(files.join("boot/grub")).with_context(cannot)?;
    fs::write(files.join("boot/grub/grub.cfg"), MENU).with_context(cannot)?;
    fs::copy(&program, files.join("boot/memtest"))
        .with_context(|| format!("the package {PACKAGE} has no {PROGRAM}"))?;
    let image = folder.join("memory-test.iso");
    rescue_image::write(&files, Modules::Only(MODULES), &image, verbosity)?;
    Ok(image)
}

/// Returns a figure for people if it tested on all CPUs without an error, until its time was over.
///
/// # Errors
///
/// What it did not show.
pub(crate) fn judge(booted: &Booted) -> Result<String, String> {
    if !matches!(booted.end, BootEnd::Qemu(Ending::TimedOut(_))) {
        return Err(format!("the memory test ended: {:?}", booted.end));
    }
    let text = booted.console.join("");
    if !text.contains("Using: All Cores") {
        return Err("the memory test did not use all CPUs".to_owned());
    }
    if let Some(errors) = after(&text, "Errors: ").find(|number| *number != "0") {
        return Err(format!("the memory test found {errors} errors"));
    }
    let seconds = after(&text, "Time:  ").filter_map(seconds).max();
    match seconds {
        Some(seconds) if seconds >= LEAST_SECONDS => {
            Ok(format!("tested for {seconds} s on all CPUs"))
        }
        seconds => Err(format!(
            "the memory test says that it ran for {} s (expected at least {LEAST_SECONDS})",
            seconds.unwrap_or(0)
        )),
    }
}

/// Returns the words behind each place of a label.
fn after<'t>(text: &'t str, label: &'t str) -> impl Iterator<Item = &'t str> {
    let parts = text.split(label).skip(1);
    parts.filter_map(|part| part.split(' ').next())
}

/// Reads hours, minutes and seconds.
fn seconds(time: &str) -> Option<u64> {
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some((hours * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::judge::tests::{OFF, booted};

    const LATE: BootEnd = BootEnd::Qemu(Ending::TimedOut(Duration::from_secs(90)));

    fn judged(screen: &str, end: BootEnd) -> Result<String, String> {
        judge(&booted(&[screen], "", end))
    }

    #[test]
    fn a_minute_on_all_cpus_without_an_error_is_wanted() {
        let good = "Time:  0:00:02  Using: All Cores  Errors: 0  Time:  0:01:04  Errors: 0 ";
        assert_eq!(judged(good, LATE).unwrap(), "tested for 64 s on all CPUs");
        for (bad, end) in [
            (good.to_owned(), OFF),
            (good.replace("All Cores", "Core #0"), LATE),
            (good.replace("Errors: 0 ", "Errors: 7 "), LATE),
            (good.replace("0:01:04", "0:00:59"), LATE),
            (String::new(), LATE),
        ] {
            assert!(judged(&bad, end).is_err(), "{bad} {end:?}");
        }
    }
}
