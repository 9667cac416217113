//! What a user does to a command from outside: no reader, a full disk, SIGKILL.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// Waits until a condition holds, or until only a hang can be why it does not.
#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(600), "{what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    // The reader is away before the writer begins; children of other tests keep nothing open here.
    let (reader, writer) = UnixStream::pair().unwrap();
    reader.shutdown(Shutdown::Both).unwrap();
    let mut child = Command::new(XTASK)
        .arg("questions")
        .stdout(OwnedFd::from(writer))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(141));
    assert_eq!(said, "");
}

/// Returns a program that says its version as QEMU does, or else runs a line of the shell.
fn emulator(folder: &Path, line: &str) -> io::Result<PathBuf> {
    let path = folder.join("emulator");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'QEMU emulator version 7.2.0' && exit\n{line}\n"
    );
    let text = folder.join("text");
    fs::write(&text, script)?;
    // Another process writes the program: a child of another test may inherit an open file of this
    // one, and a program that is open for writing cannot be run.
    let mut install = Command::new("install");
    install.args(["-m", "755"]).args([&text, &path]).status()?;
    Ok(path)
}

#[test]
fn a_boot_without_a_trace_claims_nothing_of_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = emulator(folder.path(), "exit 0").unwrap();
    let carry = |more: &[&str]| {
        let mut command = Command::new(XTASK);
        command.args(["carry", "--chain", "--no-shim", "--disk", XTASK, "--qemu"]);
        command.arg(&emulator).args(more).output().unwrap()
    };
    let off = carry(&["--trace-level", "off"]);
    let said = String::from_utf8(off.stdout).unwrap();
    assert!(said.contains("the trace is off"), "{said}");
    assert_eq!(off.status.code(), Some(0));
    // None were counted, so none is no number to expect.
    let none = carry(&["--trace-level", "off", "--offences", "none"]);
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn a_boot_whose_reader_goes_away_ends_as_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = emulator(folder.path(), "sleep 1; echo up; sleep 100").unwrap();
    let mut child = Command::new(XTASK)
        .args(["carry", "--chain", "--no-shim", "--disk", XTASK, "--qemu"])
        .arg(&emulator)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(141));
    assert_eq!(said, "");
}

#[test]
fn a_full_disk_is_one_sentence() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let output = Command::new(XTASK)
        .arg("questions")
        .stdout(full.unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("error: the output cannot be written"),
        "{said}"
    );
}

#[test]
fn a_child_ends_with_a_parent_that_is_killed() {
    let script = "\"$0\" __end-with-parent $$ sleep 1000 & echo $!; wait";
    let mut parent = Command::new("sh")
        .args(["-c", script, XTASK])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = String::new();
    let stdout = parent.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut pid).unwrap();
    let folder = Path::new("/proc").join(pid.trim());
    let name = || fs::read_to_string(folder.join("comm")).unwrap_or_default();
    wait_until("the child begins", || name() == "sleep\n");
    parent.kill().unwrap();
    parent.wait().unwrap();
    // A process that has ended may still wait to be noticed.
    let state = || fs::read_to_string(folder.join("stat")).unwrap_or_default();
    wait_until("the child ends", || {
        state().is_empty() || state().contains(") Z ")
    });
}

#[test]
fn a_child_of_another_parent_does_not_begin() {
    let output = Command::new(XTASK)
        .args(["__end-with-parent", "1", "echo", "begun"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
}

#[test]
fn the_help_of_every_command_lists_the_exit_codes() {
    let help = |args: &[&str]| {
        let output = Command::new(XTASK).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for command in [
        "test",
        "qemu",
        "minimal",
        "image",
        "carry",
        "bochs",
        "probe",
        "setup",
        "loom",
        "sim",
        "defects",
        "report",
        "questions",
        "bench",
        "disasm",
        "sabotage",
        "ci",
    ] {
        let text = help(&[command, "--help"]);
        assert!(text.contains("  5  a sabotage was NOT caught"), "{text}");
    }
}
