//! Installs packages where that needs no question, and otherwise names the command that does.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::errln;
use crate::exit_code::{Fault, Reason};
use crate::process::{Cmd, Verbosity, find_program};

/// A package manager.
struct Manager {
    program: &'static str,
    /// What comes before the packages' names.
    install: &'static str,
    /// Which of a need's names are its own.
    names: fn(&Need) -> &'static str,
}

const MANAGERS: [Manager; 4] = [
    Manager {
        program: "apt-get",
        install: "sudo apt-get update && sudo apt-get install -y --no-install-recommends",
        names: |need| need.debian,
    },
    Manager {
        program: "dnf",
        install: "sudo dnf install -y",
        names: |need| need.fedora,
    },
    Manager {
        program: "pacman",
        install: "sudo pacman -S --needed",
        names: |need| need.arch,
    },
    Manager {
        program: "brew",
        install: "brew install",
        names: |need| need.brew,
    },
];

/// Something that packages bring, under the names that managers have for them; empty where a
/// manager has none.
#[derive(Debug)]
pub(super) struct Need {
    /// What it is, for people.
    pub(super) what: &'static str,
    /// Is it there?
    pub(super) present: fn() -> bool,
    pub(super) debian: &'static str,
    pub(super) fedora: &'static str,
    pub(super) arch: &'static str,
    pub(super) brew: &'static str,
}

/// May setup change the machine?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Install {
    /// Install what is missing where that needs no question.
    Allowed,
    /// Only look.
    Never,
}

/// Installs what of this is missing, where that needs no question.
pub(super) fn provide(needs: &[Need], install: Install, verbosity: Verbosity) -> Result<()> {
    let lacking = || -> Vec<_> { needs.iter().filter(|need| !(need.present)()).collect() };
    let missed = lacking();
    if missed.is_empty() {
        return Ok(());
    }
    let sudo = match privilege(verbosity) {
        Some(sudo) if install == Install::Allowed && find_program("apt-get").is_some() => sudo,
        _ => return Err(missing(&missed).into()),
    };
    let packages: Vec<_> = missed
        .iter()
        .flat_map(|need| need.debian.split(' '))
        .collect();
    errln!(
        "setup: {} is missing; installing the Debian packages {}",
        names(&missed),
        packages.join(" ")
    );
    if !lists_present() {
        apt(sudo, &["update"])
            .require(verbosity)
            .context("apt-get update failed")?;
    }
    let install = [&["install", "-y", "--no-install-recommends"], &packages[..]].concat();
    if !apt(sudo, &install).capture(verbosity)?.status.success() {
        // Stale lists name versions that the mirror no longer has.
        apt(sudo, &["update"])
            .require(verbosity)
            .context("apt-get update failed")?;
        apt(sudo, &install).require(verbosity).map_err(|error| {
            let message = format!("{}\n{error:#}", missing(&missed).message);
            Fault::new(Reason::Environment, message)
        })?;
    }
    match lacking().as_slice() {
        [] => Ok(()),
        still => Err(missing(still).into()),
    }
}

fn names(needs: &[&Need]) -> String {
    let names: Vec<_> = needs.iter().map(|need| need.what).collect();
    names.join(", ")
}

/// How packages may be installed without a question, if at all.
#[derive(Clone, Copy)]
pub(super) enum Privilege {
    Root,
    Sudo,
}

pub(super) fn privilege(verbosity: Verbosity) -> Option<Privilege> {
    let root = Cmd::new("id")
        .arg("-u")
        .capture(verbosity)
        .is_ok_and(|id| id.stdout.trim() == "0");
    if root {
        return Some(Privilege::Root);
    }
    let sudo = Cmd::new("sudo").args(["-n", "true"]).capture(verbosity);
    sudo.is_ok_and(|captured| captured.status.success())
        .then_some(Privilege::Sudo)
}

pub(super) fn apt(privilege: Privilege, args: &[&str]) -> Cmd {
    let cmd = match privilege {
        Privilege::Root => Cmd::new("env"),
        Privilege::Sudo => Cmd::new("sudo").args(["-n", "env"]),
    };
    // Another installation may hold the lock for a while.
    cmd.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-q",
        "-o",
        "DPkg::Lock::Timeout=300",
    ])
    .args(args.iter().copied())
}

/// Where apt keeps its lists.
const LISTS: &str = "/var/lib/apt/lists";

/// How old lists may be before the mirror may have replaced what they name.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns whether apt has lists of today.
pub(super) fn lists_are_fresh() -> bool {
    let changed = std::fs::metadata(LISTS).and_then(|lists| lists.modified());
    let age = changed.ok().and_then(|changed| changed.elapsed().ok());
    lists_present() && age.is_some_and(|age| age < DAY)
}

pub(super) fn lists_present() -> bool {
    std::fs::read_dir(LISTS).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
    })
}

pub(super) fn missing(needs: &[&Need]) -> Fault {
    let command = |manager: &Manager| {
        let mut packages: Vec<_> = needs
            .iter()
            .flat_map(|need| (manager.names)(need).split(' '))
            .filter(|name| !name.is_empty())
            .collect();
        packages.dedup();
        (!packages.is_empty()).then(|| format!("    {} {}", manager.install, packages.join(" ")))
    };
    let here = MANAGERS
        .iter()
        .find(|manager| find_program(manager.program).is_some());
    let lines = here.and_then(command).unwrap_or_else(|| {
        let all: Vec<_> = MANAGERS.iter().filter_map(command).collect();
        all.join("\n")
    });
    let message = format!("{} is missing; install it with\n{lines}", names(needs));
    Fault::new(Reason::Environment, message)
}
