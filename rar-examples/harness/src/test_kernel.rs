//! Boots the test kernel once for each run, and judges what it did.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::guest::{self, Finished};
use crate::guest_progress::GuestProgress;
use crate::judged_run::{JudgedRun, judge_turns};
use crate::logs::Logs;
use crate::process::Verbosity;
use crate::progress::{Step, line};
use crate::run::Run;
use crate::text::tail;
use crate::workspace::Workspace;
use crate::{defmt, kernel, parallel};

/// The package of the test kernel.
pub const PACKAGE: &str = "rar-smp-test";

/// How many lines of each log a failure shows.
const TAIL: usize = 30;

/// Builds the test kernel and returns its ELF file.
///
/// # Errors
///
/// It does not build.
pub fn build(workspace: &Workspace, target: &Path, verbosity: Verbosity) -> Result<PathBuf> {
    let step = Step::new("building the test kernel", verbosity);
    let kernel = kernel::build(workspace, target, PACKAGE, verbosity)?;
    step.finish();
    Ok(kernel)
}

/// Makes every run and judges it; a failed one shows the ends of its logs, and the others still
/// run.
///
/// # Errors
///
/// QEMU cannot be started, a log cannot be written, or the user interrupted the runs. What a guest
/// does is no error here but a verdict.
pub fn run_all(
    qemu: &Path,
    kernel: &Path,
    runs: &[Run],
    logs: &Logs,
    verbosity: Verbosity,
) -> Result<Vec<JudgedRun>> {
    let elf = fs::read(kernel).with_context(|| format!("cannot read {}", kernel.display()))?;
    let numbered: Vec<_> = runs.iter().enumerate().collect();
    let judged = parallel::by_cores(
        &numbered,
        |(_, run)| run.thread.cores(),
        |&(number, run)| {
            let base = logs.dir().join(format!("{number}-{}", run.label()));
            run_one(qemu, kernel, &elf, run, &base, verbosity)
        },
    )?;
    Ok(judged.into_iter().flatten().collect())
}

/// Makes one run and judges it; its logs go into files that begin with `base`.
fn run_one(
    qemu: &Path,
    kernel: &Path,
    elf: &[u8],
    run: &Run,
    base: &Path,
    verbosity: Verbosity,
) -> Result<Vec<JudgedRun>> {
    let cores = cores();
    let frames = base.with_extension("defmt.bin");
    let cmd = run.qemu(qemu, kernel, &frames, cores)?;
    let mut progress = GuestProgress::new(run.label(), verbosity);
    let finished = guest::run(&cmd, run.deadline(cores), verbosity, |record| {
        progress.record(record)
    })?;
    let took = progress.finish();
    let frames = fs::read(&frames).unwrap_or_default();
    let events = defmt::decode(elf, &frames)?;
    write_log(
        &base.with_extension("console.log"),
        &finished.transcript.lines.join("\n"),
    )?;
    write_log(&base.with_extension("defmt.log"), &events)?;
    write_log(&base.with_extension("command.sh"), &cmd.line())?;
    let judged = judge_turns(run, &finished);
    let passed = judged.iter().all(|run| run.verdict.passed());
    let word = if passed { "passed" } else { "FAILED" };
    let mut said = format!("{}: {word} in {:.1} s", run.label(), took.as_secs_f64());
    if !passed {
        let died = judged.iter().any(|run| run.verdict.died);
        said.push('\n');
        said.push_str(ends(&finished, &events, died).trim_end());
    }
    line(&said);
    Ok(judged)
}

/// Makes a run that is expected to fail, and judges it without showing its logs.
///
/// # Errors
///
/// As [`run_all`].
pub fn run_quietly(
    qemu: &Path,
    kernel: &Path,
    run: &Run,
    logs: &Logs,
    verbosity: Verbosity,
) -> Result<Vec<JudgedRun>> {
    let frames = logs.dir().join("defmt.bin");
    let cmd = run.qemu(qemu, kernel, &frames, cores())?;
    let progress = Step::new(&run.label(), verbosity);
    let finished = guest::run(&cmd, run.deadline(cores()), verbosity, |_| {})?;
    progress.finish();
    Ok(judge_turns(run, &finished))
}

fn cores() -> u32 {
    u32::try_from(parallel::cores()).unwrap_or(u32::MAX)
}

/// Returns the ends of the logs.
fn ends(finished: &Finished, events: &str, died: bool) -> String {
    // What the records of a guest that lived say stands in the table.
    let console = finished
        .transcript
        .lines
        .iter()
        .map(String::as_str)
        .filter(|line| died || !line.starts_with("@ "));
    let mut ends = tail("console", console, TAIL);
    ends.push_str(&tail("defmt", events.lines(), TAIL));
    if !finished.stderr.trim().is_empty() {
        let own = tail("QEMU's own messages", finished.stderr.lines(), TAIL);
        ends.push_str(&own);
    }
    ends
}

fn write_log(path: &Path, text: &str) -> Result<()> {
    fs::write(path, format!("{}\n", text.trim_end()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rar_vocabulary::Backend;
    use tempfile::TempDir;

    use super::*;
    use crate::exit_code::Reason;
    use crate::json_file::JsonFile;
    use crate::judged_run::require_pass;
    use crate::process::{Cmd, utf8};
    use crate::results;
    use crate::run::Tests;
    use crate::samples::{END, START, TEST, second};

    fn software() -> Run {
        Run::new(Backend::Software, 2)
    }

    fn one_page() -> Run {
        Run {
            tests: Tests::Named(vec!["one-page".to_owned()]),
            ..software()
        }
    }

    /// Runs a script in the place of QEMU on two CPUs, and returns its reports and the folder with
    /// its logs.
    fn run_script(script: &str, run: Run) -> (Result<Vec<JudgedRun>>, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qemu");
        // Written by a child: a test that forks meanwhile would inherit a file open for writing,
        // and Linux runs none such.
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        Cmd::new("sh")
            .args(["-c", write, utf8(&path).unwrap(), script])
            .require(Verbosity::Normal)
            .unwrap();
        let run = Run {
            timeout: Some(Duration::from_secs(20)),
            ..run
        };
        // Any ELF file will do: this one has no defmt section.
        let kernel = std::env::current_exe().unwrap();
        let logs = Logs::Kept(dir.path().to_owned());
        (
            run_all(&path, &kernel, &[run], &logs, Verbosity::Normal),
            dir,
        )
    }

    fn honest() -> String {
        let second = second();
        format!("cat <<'X'\nhello\n{START}\n{TEST}\n{second}\n{END}\nX")
    }

    #[test]
    fn an_honest_guest_passes_from_end_to_end() {
        let (reports, dir) = run_script(&format!("{}\nexit 33", honest()), one_page());
        let reports = reports.unwrap();
        require_pass(&reports).unwrap();
        assert_eq!(results::count(&reports).to_string(), "2 passed, 0 failed");
        let out = dir.path().join("out.json");
        JsonFile::create(&out).unwrap().write(&reports).unwrap();
        let json = fs::read_to_string(out).unwrap();
        assert_eq!(json.lines().count(), 2);
        for (line, target) in json.lines().zip(["1", "0"]) {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["control"][target]["new"], 18);
        }
        let log = dir
            .path()
            .join("0-software-2cpus-single-one-page.console.log");
        assert!(fs::read_to_string(log).unwrap().starts_with("hello\n"));
    }

    #[test]
    fn a_guest_that_dies_after_its_last_record_has_not_passed() {
        for (end, reason) in [
            ("exit 0", Reason::Guest),
            ("kill -9 $$", Reason::Guest),
            ("exit 35", Reason::Failed),
        ] {
            let (reports, _dir) = run_script(&format!("{}\n{end}", honest()), one_page());
            let error = require_pass(&reports.unwrap()).unwrap_err();
            assert_eq!(crate::exit_code::reason_of(&error), reason, "{end}");
        }
    }

    #[test]
    fn each_backend_of_a_boot_is_judged_by_itself() {
        let late = || Run {
            before: Some(Backend::Software),
            backend: Backend::Vrar,
            ..one_page()
        };
        let vrar = honest().replace("software", "vrar");
        let (reports, _dir) = run_script(&format!("{}\n{vrar}\nexit 33", honest()), late());
        let reports = reports.unwrap();
        require_pass(&reports).unwrap();
        assert_eq!(results::count(&reports).to_string(), "4 passed, 0 failed");

        let bad = honest()
            .replacen(
                "\"outcome\":\"pass\",\"why\":\"\"",
                "\"outcome\":\"fail\",\"why\":\"x\"",
                1,
            )
            .replace("\"passed\":2,\"failed\":0", "\"passed\":1,\"failed\":1");
        for (script, passed) in [
            (format!("{bad}\n{vrar}\nexit 35"), [false, true]),
            (format!("{bad}\n{vrar}\nexit 33"), [false, true]),
            (format!("{}\n{vrar}\nexit 35", honest()), [true, false]),
            (format!("{}\nexit 33", honest()), [true, false]),
            (
                format!("{}\n{vrar}\n{vrar}\nexit 33", honest()),
                [true, false],
            ),
            (format!("{vrar}\n{}\nexit 33", honest()), [false, false]),
        ] {
            let (reports, _dir) = run_script(&script, late());
            let got: Vec<_> = reports
                .unwrap()
                .iter()
                .map(|report| report.verdict.passed())
                .collect();
            assert_eq!(got, passed, "{script}");
        }
    }

    #[test]
    fn a_fault_of_the_run_stands_in_the_json_file() {
        let (reports, dir) = run_script(
            &format!("echo '{START}'; echo '{TEST}'; exit 37"),
            software(),
        );
        let out = dir.path().join("out.json");
        JsonFile::create(&out)
            .unwrap()
            .write(&reports.unwrap())
            .unwrap();
        let json = fs::read_to_string(out).unwrap();
        assert!(
            json.lines()
                .any(|line| line.contains("panicked") && line.contains("\"fail\"")),
            "{json}"
        );
    }
}
