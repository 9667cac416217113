//! `run.sh` of the Linux module, with programs that load nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../linux/run.sh");

/// Returns the exit code of the script where the kernel's log has these lines.
fn run(log: &[&str]) -> i32 {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    put("run.sh", &fs::read_to_string(SCRIPT).unwrap());
    put("rar_check.ko", "");
    put("log", &log.join("\n"));
    let programs = [
        ("insmod", "exit 0".to_owned()),
        ("rmmod", "exit 0".to_owned()),
        ("id", "echo 0".to_owned()),
        (
            "dmesg",
            format!("cat {}", folder.path().join("log").display()),
        ),
    ];
    for (name, line) in programs {
        put(name, &format!("#!/bin/sh\n{line}\n"));
        let path = folder.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    let mut script = Command::new("sh");
    script
        .arg(folder.path().join("run.sh"))
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("RAR_CHECK_KMSG", Path::new("/dev/null"));
    script.output().unwrap().status.code().unwrap()
}

#[test]
fn only_a_whole_run_with_passed_tests_is_good() {
    const BEGIN: &str = "rar_check: TAP version 13";
    let end = |passed, failed| format!("rar_check: # {passed} passed, {failed} failed, 5 observed");
    let (good, none, hidden) = (end(13, 0), end(0, 0), end(12, 1));
    assert_eq!(run(&[BEGIN, "rar_check: ok 1 - a # b", &good]), 0);
    assert_eq!(run(&[BEGIN, "rar_check: not ok 1 - a # b", &hidden]), 1);
    // The log overflowed.
    assert_eq!(run(&[]), 3);
    assert_eq!(run(&[BEGIN, "rar_check: ok 1 - a # b"]), 3);
    assert_eq!(run(&[&hidden]), 1);
    assert_eq!(run(&[BEGIN, &none]), 3);
}
