//! Finds what this machine must have, and installs what is missing where it may.

use crate::command::{Cmd, Shell, find_program, is_executable};
use crate::fault::{Fault, Reason};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// The emulator.
const QEMU: &str = "qemu-system-x86_64";

/// A package manager and its one command.
struct Manager {
    program: &'static str,
    command: &'static str,
}

const MANAGERS: [Manager; 4] = [
    Manager {
        program: "apt-get",
        command: "sudo apt-get update && sudo apt-get install -y --no-install-recommends qemu-system-x86",
    },
    Manager {
        program: "dnf",
        command: "sudo dnf install -y qemu-system-x86-core",
    },
    Manager {
        program: "pacman",
        command: "sudo pacman -S --needed qemu-system-x86",
    },
    Manager {
        program: "brew",
        command: "brew install qemu",
    },
];

/// An emulator that answers.
#[derive(Clone, Debug)]
pub(crate) struct Qemu {
    /// The program.
    pub(crate) path: PathBuf,
    /// The first line of `--version`.
    pub(crate) version: String,
}

/// May setup change the machine?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Install {
    /// Install what is missing where that needs no question.
    Allowed,
    /// Only look.
    Never,
}

/// Returns an emulator: the one named, else the one in PATH, else one installed now.
pub(crate) fn qemu(named: Option<&Path>, install: Install, shell: Shell) -> Result<Qemu> {
    let path = match (named, find_program(QEMU)) {
        (Some(path), _) => path.to_owned(),
        (None, Some(path)) => path,
        (None, None) if install == Install::Allowed => install_qemu(shell)?,
        (None, None) => return Err(missing().into()),
    };
    let path = if named.is_some() && path.components().count() == 1 {
        find_program(&path.to_string_lossy()).unwrap_or(path)
    } else {
        path
    };
    if !is_executable(&path) {
        let message = format!(
            "{} is not a program; give --qemu the path of {QEMU}",
            path.display()
        );
        return Err(Fault::new(Reason::Environment, message).into());
    }
    let version = version(&path, shell)?;
    Ok(Qemu { path, version })
}

fn version(path: &Path, shell: Shell) -> Result<String> {
    let program = crate::command::utf8(path)?;
    let captured = Cmd::new(program).arg("--version").capture(shell)?;
    let first = captured
        .stdout
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    if !captured.status.success() || !first.contains("QEMU") {
        let message =
            format!("`{program} --version` does not answer like QEMU but {first:?}; reinstall it");
        return Err(Fault::new(Reason::Environment, message).into());
    }
    Ok(first)
}

fn install_qemu(shell: Shell) -> Result<PathBuf> {
    let sudo = match privilege(shell) {
        Some(sudo) if find_program("apt-get").is_some() => sudo,
        _ => return Err(missing().into()),
    };
    eprintln!("setup: {QEMU} is missing; installing the Debian package qemu-system-x86");
    if !lists_present() {
        apt(sudo, &["update"])
            .require(shell)
            .context("apt-get update failed")?;
    }
    let install = [
        "install",
        "-y",
        "--no-install-recommends",
        "qemu-system-x86",
    ];
    if !apt(sudo, &install).capture(shell)?.status.success() {
        // Stale lists name versions that the mirror no longer has.
        apt(sudo, &["update"])
            .require(shell)
            .context("apt-get update failed")?;
        apt(sudo, &install).require(shell).map_err(|error| {
            Fault::new(
                Reason::Environment,
                format!("{}\n{error:#}", missing().message),
            )
        })?;
    }
    find_program(QEMU).ok_or_else(|| missing().into())
}

/// How packages may be installed without a question, if at all.
#[derive(Clone, Copy)]
enum Privilege {
    Root,
    Sudo,
}

fn privilege(shell: Shell) -> Option<Privilege> {
    let root = Cmd::new("id")
        .arg("-u")
        .capture(shell)
        .is_ok_and(|id| id.stdout.trim() == "0");
    if root {
        return Some(Privilege::Root);
    }
    let sudo = Cmd::new("sudo").args(["-n", "true"]).capture(shell);
    sudo.is_ok_and(|captured| captured.status.success())
        .then_some(Privilege::Sudo)
}

fn apt(privilege: Privilege, args: &[&str]) -> Cmd {
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

fn lists_present() -> bool {
    std::fs::read_dir("/var/lib/apt/lists").is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
    })
}

fn missing() -> Fault {
    let lines = match MANAGERS
        .iter()
        .find(|manager| find_program(manager.program).is_some())
    {
        Some(manager) => format!("    {}", manager.command),
        None => MANAGERS
            .map(|manager| format!("    {}", manager.command))
            .join("\n"),
    };
    let message = format!("{QEMU} is missing; install it with\n{lines}");
    Fault::new(Reason::Environment, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_qemu_must_be_a_program() {
        let error = qemu(
            Some(Path::new("/no/such/qemu")),
            Install::Never,
            Shell::QUIET,
        )
        .unwrap_err();
        assert!(error.to_string().contains("/no/such/qemu"), "{error}");
        let error = qemu(Some(Path::new("/etc/passwd")), Install::Never, Shell::QUIET).unwrap_err();
        assert!(error.to_string().contains("is not a program"), "{error}");
    }

    #[test]
    fn a_named_qemu_must_answer_like_one() {
        let error = qemu(Some(Path::new("/bin/true")), Install::Never, Shell::QUIET).unwrap_err();
        assert!(
            error.to_string().contains("does not answer like QEMU"),
            "{error}"
        );
    }

    #[test]
    fn the_remedy_is_a_command() {
        assert!(missing().message.contains("qemu"));
        assert_eq!(missing().reason, Reason::Environment);
    }
}
