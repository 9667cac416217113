//! Runs of the command on reports that were made up.

use std::path::{Path, PathBuf};
use std::process::Command;

use rar_report::{
    Backend, Disturbances, EndReason, Fact, Machine, Outcome, Parts, Record, SerialLine, Symbol,
    TestResult, Writer, seal,
};
use tempfile::TempDir;

use crate::common;

/// What the command printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the command in a folder.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The serial lines of a report.
pub(crate) fn lines(report: &[u8], id: u32, symbol: Symbol) -> Vec<String> {
    let mut sealed = vec![0; report.len() + 10];
    let sealed = seal(report, &mut sealed).unwrap();
    let parts = Parts::new(sealed, id, symbol).unwrap();
    parts
        .iter()
        .map(|part| SerialLine(part).to_string())
        .collect()
}

/// The serial lines of a report as a real run would write it.
pub(crate) fn typical() -> Vec<String> {
    lines(
        common::write_typical(&mut vec![0; 65536]),
        common::ID,
        Symbol::DEFAULT,
    )
}

/// A small report of a machine with that microcode, one test on two backends.
pub(crate) fn small(id: u32, microcode: u32, outcome: Outcome<'_>, fact: &str) -> Vec<String> {
    let mut memory = [0; 8192];
    let mut writer = Writer::new(&mut memory, id, "0.1.0");
    writer.push(&Record::Machine(Machine {
        microcode: Some(microcode),
        ..common::MACHINE
    }));
    writer.push(&Record::Fact(Fact {
        key: "note",
        value: fact,
    }));
    for (backend, outcome) in [
        (Backend::Hardware, outcome),
        (Backend::Software, Outcome::Holds),
    ] {
        writer.push(&Record::Result(TestResult {
            backend,
            name: "one-page",
            outcome,
            initiators: 4,
            fallbacks: 0,
            resignals: 0,
            disturbances: Disturbances::NONE,
        }));
    }
    for targets in [1, 4, 223] {
        let mut numbers = common::Numbers::new();
        let measurement = common::measurement(rar_report::Method::Rar, targets, 0, &mut numbers);
        let slower = measurement.p50 * u64::from(microcode);
        writer.push(&Record::Measurement(rar_report::Measurement {
            state: "spin",
            p50: slower,
            ..measurement
        }));
    }
    lines(writer.finish(EndReason::Complete), id, Symbol::DEFAULT)
}

/// Writes a file of the folder, and returns its path.
pub(crate) fn write(dir: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Returns the text of a file of the folder.
pub(crate) fn read(dir: &TempDir, name: &str) -> String {
    std::fs::read_to_string(dir.path().join(name)).unwrap()
}
