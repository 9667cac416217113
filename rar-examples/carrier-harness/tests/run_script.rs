//! `run.sh` of the Linux module, with programs that load nothing.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../linux/run.sh");

/// Returns the exit code of the script where the kernel's log has these lines.
fn run(log: &[&str]) -> io::Result<Option<i32>> {
    let folder = tempfile::tempdir()?;
    let put = |name: &str, content: &str| fs::write(folder.path().join(name), content);
    put("run.sh", &fs::read_to_string(SCRIPT)?)?;
    put("rar_check.ko", "")?;
    put("log", &log.join("\n"))?;
    let show = format!("cat {}", folder.path().join("log").display());
    for (name, line) in [
        ("insmod", "exit 0"),
        ("rmmod", "exit 0"),
        ("id", "echo 0"),
        ("dmesg", &show),
    ] {
        put(name, &format!("#!/bin/sh\n{line}\n"))?;
        let path = folder.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut script = Command::new("sh");
    script
        .arg(folder.path().join("run.sh"))
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("RAR_CHECK_KMSG", "/dev/null");
    Ok(script.output()?.status.code())
}

#[test]
fn only_a_whole_run_with_passed_tests_is_good() {
    const BEGIN: &str = "rar_check: TAP version 13";
    let end = |passed, failed| format!("rar_check: # {passed} passed, {failed} failed, 5 observed");
    let (good, none, hidden) = (end(13, 0), end(0, 0), end(12, 1));
    assert_eq!(
        run(&[BEGIN, "rar_check: ok 1 - a # b", &good]).unwrap(),
        Some(0)
    );
    assert_eq!(
        run(&[BEGIN, "rar_check: not ok 1 - a # b", &hidden]).unwrap(),
        Some(1)
    );
    // The log overflowed.
    assert_eq!(run(&[]).unwrap(), Some(3));
    assert_eq!(run(&[BEGIN, "rar_check: ok 1 - a # b"]).unwrap(), Some(3));
    assert_eq!(run(&[&hidden]).unwrap(), Some(1));
    assert_eq!(run(&[BEGIN, &none]).unwrap(), Some(3));
}
