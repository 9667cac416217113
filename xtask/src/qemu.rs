//! The main job: builds the test kernel, boots it, judges it, reports.

pub(crate) mod also;
pub(crate) mod defects;
pub(crate) mod doubt;
pub(crate) mod guest;
pub(crate) mod judge;
pub(crate) mod measurements;
pub(crate) mod plan;
mod progress;
pub(crate) mod ratios;
pub(crate) mod records;
pub(crate) mod requirements;
pub(crate) mod table;
pub(crate) mod told;

use self::guest::Finished;
use self::judge::{Ending, judge};
use self::plan::Run;
use self::progress::GuestProgress;
use self::records::JsonLine;
use self::table::Report;
use crate::cli::QemuArgs;
use crate::defmt;
use crate::sabotage;
use crate::setup::{self, Install, Qemu};
use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::kernel;
use rar_harness::parallel;
use rar_harness::process::{Verbosity, utf8};
use rar_harness::progress::{Step, line};
use rar_harness::text::tail;
use rar_harness::workspace::Workspace;
use rar_vocabulary::Measurement;
use serde::Serialize;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};

/// The package of the test kernel.
pub(crate) const TEST_KERNEL: &str = "rar-smp-test";

/// How many lines of each log a failure shows.
const TAIL: usize = 30;

/// Runs `cargo xtask qemu`.
pub(crate) fn command(args: &QemuArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    if let Some(name) = &args.sabotage {
        return sabotage::one(&workspace, name, args, verbosity);
    }
    let qemu = emulator(args.qemu.as_deref(), verbosity)?;
    // Made before the runs, so that a file that cannot be written is known at once.
    let json = args.json.as_deref().map(JsonFile::create).transpose()?;
    let logs = Logs::new(args, &workspace)?;
    let kernel = build(&workspace, &kernel::target(&workspace), verbosity)?;
    if let Some(defect) = &args.defect {
        return defects::command(defect, args, &qemu, &kernel, verbosity);
    }
    if args.deterministic {
        println!(
            "replay mode: instructions are counted, so every repeat is the same; this is no measurement"
        );
    }
    let reports = run_all(&qemu, &kernel, &plan::runs(args), &logs, verbosity)?;
    print!("{}", table::render(&reports));
    if let Some(json) = json {
        json.write(&reports)?;
    }
    logs.announce();
    println!("{}", table::count(&reports));
    verdict(&reports)
}

/// Finds or installs the emulator and says which one it is.
pub(crate) fn emulator(named: Option<&Path>, verbosity: Verbosity) -> Result<Qemu> {
    let qemu = setup::qemu(named, Install::Allowed, verbosity)?;
    println!("{} ({})", qemu.version, qemu.path.display());
    Ok(qemu)
}

/// Builds the test kernel.
pub(crate) fn build(workspace: &Workspace, target: &Path, verbosity: Verbosity) -> Result<PathBuf> {
    let step = Step::new("building the test kernel", verbosity);
    let kernel = kernel::build(workspace, target, TEST_KERNEL, verbosity)?;
    step.finish();
    Ok(kernel)
}

/// Makes every run; a failed one shows the ends of its logs and the others still run.
pub(crate) fn run_all(
    qemu: &Qemu,
    kernel: &Path,
    runs: &[Run],
    logs: &Logs,
    verbosity: Verbosity,
) -> Result<Vec<Report>> {
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
    qemu: &Qemu,
    kernel: &Path,
    elf: &[u8],
    run: &Run,
    base: &Path,
    verbosity: Verbosity,
) -> Result<Vec<Report>> {
    let cores = cores();
    let frames = base.with_extension("defmt.bin");
    let cmd = run.qemu(&qemu.path, kernel, &frames, cores)?;
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
    let passed = judged.iter().all(|report| report.verdict.passed());
    let word = if passed { "passed" } else { "FAILED" };
    let mut said = format!("{}: {word} in {:.1} s", run.label(), took.as_secs_f64());
    if !passed {
        let died = judged.iter().any(|report| report.verdict.died);
        said.push('\n');
        said.push_str(ends(&finished, &events, died).trim_end());
    }
    line(&said);
    Ok(judged)
}

/// Makes a run that may well fail, and says only how it went.
pub(crate) fn run_quietly(
    qemu: &Qemu,
    kernel: &Path,
    run: &Run,
    logs: &Logs,
    verbosity: Verbosity,
) -> Result<Vec<Report>> {
    let frames = logs.dir().join("defmt.bin");
    let cmd = run.qemu(&qemu.path, kernel, &frames, cores())?;
    let progress = Step::new(&run.label(), verbosity);
    let finished = guest::run(&cmd, run.deadline(cores()), verbosity, |_| {})?;
    progress.finish();
    Ok(judge_turns(run, &finished))
}

fn cores() -> u32 {
    u32::try_from(parallel::cores()).unwrap_or(u32::MAX)
}

/// Judges each backend's part of a boot as if it had been alone.
fn judge_turns(run: &Run, finished: &Finished) -> Vec<Report> {
    let turns = run.turns();
    let mut parts = finished.transcript.parts(turns.len()).into_iter();
    let last = turns.len() - 1;
    let mut reports: Vec<Report> = Vec::new();
    for (number, run) in turns.into_iter().enumerate() {
        let part = parts.next().unwrap_or_default();
        let failed_before = reports.iter().any(|report| !report.verdict.passed());
        let failed = part.has_failed();
        let ending = match finished.ending {
            // The guest lived on, and says at its end what it thinks of all parts together.
            _ if number < last && parts.len() > 0 => Ending::of_a_guest(failed),
            Ending::Exited(_) if failed_before && finished.ending == Ending::of_a_guest(true) => {
                Ending::of_a_guest(failed)
            }
            ending => ending,
        };
        let verdict = judge(&run.expectation(), &part, ending);
        reports.push(Report { run, verdict });
    }
    reports
}

/// Returns success if everything passed, else the error with the right exit code.
pub(crate) fn verdict(reports: &[Report]) -> Result<()> {
    if reports.iter().all(|report| report.verdict.passed()) {
        return Ok(());
    }
    let died = reports.iter().any(|report| report.verdict.died);
    let (reason, words) = if died {
        (
            Reason::Guest,
            "the guest hung, panicked or died; --keep-log keeps its logs, -v shows its console",
        )
    } else {
        (
            Reason::Failed,
            "tests failed; --test NAME repeats one, --deterministic replays it",
        )
    };
    Err(Fault::new(reason, words).into())
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

/// Where the logs of runs go.
#[derive(Debug)]
pub(crate) enum Logs {
    /// Into a folder that ends with this value.
    Temporary(TempDir),
    /// Into a folder that stays.
    Kept(PathBuf),
}

impl Logs {
    fn new(args: &QemuArgs, workspace: &Workspace) -> Result<Self> {
        let Some(kept) = &args.keep_log else {
            return Self::temporary();
        };
        let dir = kept
            .clone()
            .unwrap_or_else(|| workspace.target.join("qemu-logs"));
        fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create the log folder {}", dir.display()))?;
        Ok(Self::Kept(dir))
    }

    /// Returns logs that nobody wants to keep.
    pub(crate) fn temporary() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("rar-qemu-").tempdir();
        Ok(Self::Temporary(
            dir.context("cannot create a folder for temporary files")?,
        ))
    }

    fn dir(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }

    fn announce(&self) {
        if let Self::Kept(dir) = self {
            println!("logs are in {}", dir.display());
        }
    }
}

/// A measurement as a line of the `--json` file.
#[derive(Debug, Serialize)]
struct JsonMeasurement<'a> {
    thread: &'a str,
    #[serde(flatten)]
    measurement: &'a Measurement,
}

/// The `--json` file, which appears whole or not at all.
#[derive(Debug)]
struct JsonFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl JsonFile {
    fn create(path: &Path) -> Result<Self> {
        utf8(path)?;
        if path.is_dir() {
            let message = format!("--json {} is a folder; name a file", path.display());
            return Err(Fault::new(Reason::Usage, message).into());
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".rar-json-")
            .tempfile_in(folder)
            .with_context(|| {
                format!(
                    "cannot write --json {}: its folder must exist and be writable",
                    path.display()
                )
            })?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    fn write(mut self, reports: &[Report]) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let cannot = || format!("cannot write --json {}", self.path.display());
        let mut text = String::new();
        for Report { run, verdict } in reports {
            let thread = run.thread.to_string();
            for test in &verdict.tests {
                let line = JsonLine::new(&test.record, &thread, test.outcome, &test.why);
                text.push_str(&serde_json::to_string(&line).with_context(cannot)?);
                text.push('\n');
            }
            for measurement in &verdict.measurements {
                let line = JsonMeasurement {
                    thread: &thread,
                    measurement,
                };
                text.push_str(&serde_json::to_string(&line).with_context(cannot)?);
                text.push('\n');
            }
            for fault in &verdict.faults {
                let line =
                    JsonLine::fault(run.backend, run.cpus, &thread, fault).with_context(cannot)?;
                text.push_str(&line);
                text.push('\n');
            }
        }
        self.file.write_all(text.as_bytes()).with_context(cannot)?;
        // A temporary file is private; a result is read by others too.
        self.file
            .as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))
            .with_context(cannot)?;
        self.file.as_file().sync_all().with_context(cannot)?;
        self.file
            .persist(&self.path)
            .map_err(|error| error.error)
            .with_context(cannot)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use self::records::tests::{START, TEST, second};
    use crate::cli::{Cli, Subcommands};
    use clap::Parser as _;
    use rar_harness::process::Cmd;

    const END: &str = r#"@ {"type":"end","passed":2,"failed":0,"skipped":0}"#;

    /// Runs a script in the place of QEMU on two CPUs, and returns its reports and the folder with its logs.
    fn run_script(script: &str, args: &[&str]) -> (Result<Vec<Report>>, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qemu");
        // Written by a child: a test that forks meanwhile would inherit a file open for writing, and Linux runs none such.
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        Cmd::new("sh")
            .args(["-c", write, utf8(&path).unwrap(), script])
            .require(Verbosity::Normal)
            .unwrap();
        let args = [
            "xtask",
            "qemu",
            "--cpus",
            "2",
            "--thread",
            "single",
            "--timeout",
            "20",
        ]
        .iter()
        .chain(args)
        .chain(if args.contains(&"--late-launch") {
            [].iter()
        } else {
            ["--backend", "software"].iter()
        });
        let Subcommands::Qemu(args) = Cli::try_parse_from(args).unwrap().command else {
            panic!()
        };
        let qemu = Qemu {
            path,
            version: String::new(),
        };
        // Any ELF file will do: this one has no defmt section.
        let kernel = std::env::current_exe().unwrap();
        let logs = Logs::Kept(dir.path().to_owned());
        (
            run_all(&qemu, &kernel, &plan::runs(&args), &logs, Verbosity::Normal),
            dir,
        )
    }

    fn honest() -> String {
        let second = second();
        format!("cat <<'X'\nhello\n{START}\n{TEST}\n{second}\n{END}\nX")
    }

    #[test]
    fn an_honest_guest_passes_from_end_to_end() {
        let (reports, dir) = run_script(&format!("{}\nexit 33", honest()), &["--test", "one-page"]);
        let reports = reports.unwrap();
        verdict(&reports).unwrap();
        assert_eq!(table::count(&reports).to_string(), "2 passed, 0 failed");
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
            let (reports, _dir) =
                run_script(&format!("{}\n{end}", honest()), &["--test", "one-page"]);
            let error = verdict(&reports.unwrap()).unwrap_err();
            assert_eq!(rar_harness::exit_code::reason_of(&error), reason, "{end}");
        }
    }

    #[test]
    fn each_backend_of_a_boot_is_judged_by_itself() {
        let late = ["--late-launch", "--test", "one-page"];
        let vrar = honest().replace("software", "vrar");
        let (reports, _dir) = run_script(&format!("{}\n{vrar}\nexit 33", honest()), &late);
        let reports = reports.unwrap();
        verdict(&reports).unwrap();
        assert_eq!(table::count(&reports).to_string(), "4 passed, 0 failed");

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
            let (reports, _dir) = run_script(&script, &late);
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
        let (reports, dir) = run_script(&format!("echo '{START}'; echo '{TEST}'; exit 37"), &[]);
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

    #[test]
    fn a_json_file_in_no_folder_is_an_error_at_once() {
        let error = JsonFile::create(Path::new("/no/such/folder/out.json")).unwrap_err();
        assert!(
            error.to_string().contains("/no/such/folder/out.json"),
            "{error}"
        );
    }

    #[test]
    fn an_abandoned_json_file_leaves_nothing_and_spares_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        fs::write(&path, "old").unwrap();
        drop(JsonFile::create(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        JsonFile::create(&path).unwrap().write(&[]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
