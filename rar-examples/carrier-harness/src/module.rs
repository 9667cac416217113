//! The Linux module `rar_check`: the headers of a stock kernel, and the build against them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::process::{Cmd, Verbosity, find_program, utf8};
use rar_harness::progress::Step;
use rar_harness::setup::debian::{behind, unpacked};
use rar_harness::text::tail;
use rar_harness::workspace::Workspace;

use crate::debian;

/// What the names of packages of headers begin with.
const HEADERS: &str = "linux-headers-";
/// What the name of the package of kernel build tools begins with.
const BUILD_TOOLS: &str = "linux-kbuild-";
/// Programs without which no module can be built.
const PROGRAMS: [&str; 2] = ["make", "cp"];
/// The name of the module.
const MODULE: &str = "rar_check.ko";
/// How much of a failed build is shown.
const SHOWN: usize = 12;

/// Returns the folder that `make -C` takes to build a module for a kernel of Debian.
///
/// The headers come from the same release as the kernel. Nothing is installed.
///
/// # Errors
///
/// A package cannot be had, or the cache cannot be written.
pub fn headers(release: &str, cache: &Path, verbosity: Verbosity) -> Result<PathBuf> {
    let whole = cache.join(format!("headers-{release}"));
    let own = format!("{HEADERS}{release}");
    let place = place(&whole, &own);
    if place.is_dir() {
        return Ok(place);
    }
    let common = behind(&own, HEADERS, verbosity)?;
    let tools = behind(&own, BUILD_TOOLS, verbosity)?;
    fs::create_dir_all(cache)
        .with_context(|| format!("cannot create the folder {}", cache.display()))?;
    let room = tempfile::Builder::new()
        .prefix(".headers-")
        .tempdir_in(cache)
        .with_context(|| format!("cannot write into {}", cache.display()))?;
    let files = room.path().join("files");
    // The packages refer to each other by relative links, so they have to lie in one folder.
    for package in [&own, &common, &tools] {
        let some = unpacked(package, cache, verbosity)?;
        // Links are quick and take no room: nothing in the cache is changed.
        Cmd::new("cp")
            .args(["--archive", "--link", "--no-target-directory"])
            .args([utf8(&some)?, utf8(&files)?])
            .require(verbosity)?;
    }
    refer_to(&self::place(&files, &own).join("Makefile"), &whole)?;
    // Another run may have been faster.
    if let Err(error) = fs::rename(&files, &whole)
        && !place.is_dir()
    {
        return Err(error).with_context(|| format!("cannot write {}", whole.display()));
    }
    Ok(place)
}

fn place(whole: &Path, package: &str) -> PathBuf {
    whole.join("usr/src").join(package)
}

/// Lets the `Makefile` of headers include its other half from `root` instead of `/`.
fn refer_to(makefile: &Path, root: &Path) -> Result<()> {
    let text = fs::read_to_string(makefile)
        .with_context(|| format!("the headers have no {}", makefile.display()))?;
    let text = moved(&text, utf8(root)?);
    // The file is a hard link to the one in the cache, which stays as it is.
    fs::remove_file(makefile)
        .and_then(|()| fs::write(makefile, text))
        .with_context(|| format!("cannot write {}", makefile.display()))
}

fn moved(makefile: &str, root: &str) -> String {
    makefile.replace("include /usr/", &format!("include {root}/usr/"))
}

/// Builds the module for a kernel of Debian; returns its path.
///
/// # Errors
///
/// As [`headers`] and [`build`].
pub fn for_stock(release: &str, workspace: &Workspace, verbosity: Verbosity) -> Result<PathBuf> {
    let headers = headers(release, &debian::cache(workspace), verbosity)?;
    let source = workspace.root.join("rar-examples/linux");
    let room = workspace.target.join(format!("module-{release}"));
    build(&source, &headers, &room, verbosity)
}

/// Builds the module from the files in `source`; returns its path. `room` is a folder for the files
/// of the build, which stay there for the next one.
///
/// # Errors
///
/// The module cannot be built, or a program for it is missing.
pub fn build(source: &Path, headers: &Path, room: &Path, verbosity: Verbosity) -> Result<PathBuf> {
    if let Some(program) = PROGRAMS.iter().find(|name| find_program(name).is_none()) {
        return Err(lacking(&format!("this machine has no {program}")));
    }
    let step = Step::new("building the Linux module", verbosity);
    copy_sources(source, room)?;
    let built = Cmd::new("make")
        .args(["-C", utf8(headers)?, &format!("M={}", utf8(room)?)])
        // Types for BPF need a tool that few have, and no one here reads them.
        .args(["CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"])
        .capture(verbosity)?;
    if !built.status.success() {
        let log = tail("make", built.both.lines(), SHOWN);
        return Err(lacking(&format!("make ended with an error\n{log}")));
    }
    step.finish();
    Ok(room.join(MODULE))
}

/// Copies what has changed, so that `make` builds only that.
fn copy_sources(source: &Path, room: &Path) -> Result<()> {
    fs::create_dir_all(room)
        .with_context(|| format!("cannot create the folder {}", room.display()))?;
    let entries =
        fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_name().filter(|_| is_source(&path)) else {
            continue;
        };
        let new = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let to = room.join(name);
        if fs::read(&to).is_ok_and(|old| old == new) {
            continue;
        }
        fs::write(&to, new).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("c" | "h")) && !path.to_string_lossy().ends_with(".mod.c")
        || path.file_name().is_some_and(|name| name == "Kbuild")
}

fn lacking(why: &str) -> anyhow::Error {
    let message = format!(
        "the Linux module cannot be built: {why}; it needs make, the compiler of the kernel \
         (gcc-12 for Debian 12) and libelf: `sudo apt-get install build-essential libelf1`"
    );
    Fault::new(Reason::Environment, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_makefile_of_headers_finds_its_other_half_in_the_folder() {
        let text = "include /usr/src/linux-headers-6.1.0-57-common/Makefile\n";
        assert_eq!(
            moved(text, "/cache"),
            "include /cache/usr/src/linux-headers-6.1.0-57-common/Makefile\n"
        );
    }

    #[test]
    fn sources_are_copied_once_and_products_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let [source, room] = ["source", "room"].map(|name| folder.path().join(name));
        fs::create_dir(&source).unwrap();
        for name in ["a.c", "b.h", "Kbuild", "a.o", "a.mod.c", "README.md"] {
            fs::write(source.join(name), name).unwrap();
        }
        copy_sources(&source, &room).unwrap();
        let mut names: Vec<_> = fs::read_dir(&room)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["Kbuild", "a.c", "b.h"]);
        let written = |name: &str| fs::metadata(room.join(name)).unwrap().modified().unwrap();
        let before = [written("a.c"), written("b.h")];
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(source.join("b.h"), "new").unwrap();
        copy_sources(&source, &room).unwrap();
        assert_eq!(written("a.c"), before[0]);
        assert!(written("b.h") > before[1]);
    }

    #[test]
    fn headers_in_the_cache_need_no_network() {
        let cache = tempfile::tempdir().unwrap();
        let place = cache.path().join("headers-7.0/usr/src/linux-headers-7.0");
        fs::create_dir_all(&place).unwrap();
        let found = headers("7.0", cache.path(), Verbosity::Normal).unwrap();
        assert_eq!(found, place);
    }
}
