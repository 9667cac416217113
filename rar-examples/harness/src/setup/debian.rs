//! Packages of Debian as files: downloaded and unpacked into a folder, never installed.
//!
//! apt compares each file with the sum in its signed lists.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context as _, Result};

use super::install::{apt, lists_are_fresh, privilege};
use crate::exit_code::{Fault, Reason};
use crate::process::{Captured, Cmd, Verbosity, find_program, utf8};
use crate::progress::Step;

/// Programs without which no package can be had.
const PROGRAMS: [&str; 3] = ["apt-get", "apt-cache", "dpkg-deb"];

/// How long a mirror may be silent, in seconds.
const TIMEOUT: &str = "Acquire::http::Timeout=60";

/// Returns the package that a package without files of its own depends on, by how its name begins.
///
/// # Errors
///
/// This is no Debian, or its lists have no such package.
pub fn behind(package: &str, prefix: &str, verbosity: Verbosity) -> Result<String> {
    check_programs(package)?;
    update_if_stale(verbosity);
    let depends = Cmd::new("apt-cache").args(["depends", package]);
    let depends = depends.capture(verbosity)?;
    first_dependency(&depends.stdout, prefix).ok_or_else(|| lacking(package, "not in its lists"))
}

/// Returns the folder with the files of a package; it is downloaded if it is not in the cache yet.
///
/// # Errors
///
/// This is no Debian, the package cannot be downloaded, or the cache cannot be written.
pub fn unpacked(package: &str, cache: &Path, verbosity: Verbosity) -> Result<PathBuf> {
    let folder = cache.join(package);
    if folder.is_dir() {
        return Ok(folder);
    }
    check_programs(package)?;
    let step = Step::new(&format!("downloading Debian's {package}"), verbosity);
    fs::create_dir_all(cache)
        .with_context(|| format!("cannot create the folder {}", cache.display()))?;
    let room = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(cache);
    let room = room.with_context(|| format!("cannot write into {}", cache.display()))?;
    let file = download(package, room.path(), verbosity)?;
    let files = room.path().join("files");
    Cmd::new("dpkg-deb")
        .args(["--extract", utf8(&file)?, utf8(&files)?])
        .require(verbosity)?;
    // Another run may have been faster.
    if let Err(error) = fs::rename(&files, &folder)
        && !folder.is_dir()
    {
        let cannot = format!("cannot write {}", folder.display());
        return Err(error).context(cannot);
    }
    step.finish();
    Ok(folder)
}

/// Downloads a package into a folder; stale lists are renewed where that needs no question.
fn download(package: &str, folder: &Path, verbosity: Verbosity) -> Result<PathBuf> {
    let get = || {
        let get = Cmd::new("apt-get").args(["-q", "-o", TIMEOUT, "download", package]);
        get.dir(folder).capture(verbosity)
    };
    let mut got = get()?;
    if !got.status.success()
        && let Some(privilege) = privilege(verbosity)
    {
        apt(privilege, &["update"]).capture(verbosity)?;
        got = get()?;
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {folder:?}"))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let is_package = |path: &PathBuf| path.extension().is_some_and(|end| end == "deb");
    match paths.find(is_package) {
        Some(file) if got.status.success() => Ok(file),
        _ => Err(lacking(package, last_line(&got))),
    }
}

/// Renews the lists, once: old ones name a newest package whose companions the mirror has no more.
/// Without a network, the old ones may do.
fn update_if_stale(verbosity: Verbosity) {
    static RENEWED: Once = Once::new();
    RENEWED.call_once(|| {
        if !lists_are_fresh()
            && let Some(privilege) = privilege(verbosity)
        {
            let _without_network = apt(privilege, &["update"]).capture(verbosity);
        }
    });
}

fn check_programs(package: &str) -> Result<()> {
    let mut programs = PROGRAMS.into_iter();
    match programs.find(|program| find_program(program).is_none()) {
        Some(program) => Err(lacking(package, &format!("this machine has no {program}"))),
        None => Ok(()),
    }
}

fn lacking(package: &str, why: &str) -> anyhow::Error {
    let message = format!(
        "Debian's package {package} cannot be had: {why}; this needs a Debian or Ubuntu with a \
         network and fresh lists (`sudo apt-get update`)"
    );
    Fault::new(Reason::Environment, message).into()
}

fn last_line(captured: &Captured) -> &str {
    let mut lines = captured.both.lines().rev();
    lines.find(|line| !line.is_empty()).unwrap_or("no answer")
}

/// Returns the first dependency in what apt-cache prints whose name begins so.
fn first_dependency(printed: &str, prefix: &str) -> Option<String> {
    let mut names = printed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let name = names.find(|name| name.starts_with(prefix))?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::reason_of;

    #[test]
    fn the_package_behind_another_is_found() {
        let printed = "linux-image-cloud-amd64\n  Depends: base\n  Depends: linux-image-6.1.0-57\n";
        let found = first_dependency(printed, "linux-image-");
        assert_eq!(found.as_deref(), Some("linux-image-6.1.0-57"));
        assert_eq!(first_dependency("", "linux-image-"), None);
    }

    #[test]
    fn an_unpacked_package_needs_no_network() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir(cache.path().join("here")).unwrap();
        let found = unpacked("here", cache.path(), Verbosity::Normal).unwrap();
        assert_eq!(found, cache.path().join("here"));
    }

    #[test]
    fn a_lack_is_one_sentence_about_the_machine() {
        let error = lacking("busybox-static", "no answer");
        assert_eq!(reason_of(&error), Reason::Environment);
        assert!(error.to_string().contains("busybox-static cannot be had"));
    }
}
