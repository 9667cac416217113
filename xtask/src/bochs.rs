//! Our kernels in Bochs, which plays Intel processors with features that QEMU's TCG lacks: PCIDs,
//! INVPCID, VMX.

mod emulator;
mod soak;
mod suite;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use rar_harness::ending::Ending;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::guest::{self, Finished};
use rar_harness::process::Verbosity;
use rar_harness::progress::Step;
use rar_harness::records::{Record, Transcript};
use rar_harness::setup::{self, Install};
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, outln, test_kernel};
use rar_image_harness::boot::build_kernel;
use rar_image_harness::grub::{self, Menu};

#[derive(Args, Clone, Debug)]
pub(crate) struct BochsArgs {
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = CPUS,
          value_parser = clap::value_parser!(u32).range(2..=8))]
    pub(crate) cpus: u32,
    /// Soak the test kernel for that many seconds of its clock, instead of the suite of the image
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) soak: Option<u64>,
    /// Seed of the soak
    #[arg(long, value_name = "S", default_value_t = 1, requires = "soak")]
    pub(crate) seed: u64,
    /// The processor, as `bochs --help cpu` names it
    #[arg(long, value_name = "MODEL", default_value = MODEL)]
    pub(crate) model: String,
    /// End Bochs after this many seconds [default: 600, and 20 for each second of a soak]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}

impl Default for BochsArgs {
    fn default() -> Self {
        Self {
            cpus: CPUS,
            soak: None,
            seed: 1,
            model: MODEL.to_owned(),
            timeout: None,
        }
    }
}

impl BochsArgs {
    /// Returns a soak of that many seconds.
    pub(crate) fn soak(seconds: u64) -> Self {
        Self {
            soak: Some(seconds),
            ..Self::default()
        }
    }
}

const CPUS: u32 = 4;
/// Of the models of Bochs 2.7 the last one that it plays with every feature used here.
const MODEL: &str = "corei7_icelake_u";
/// The longest that the suite takes, and how much longer a soak takes than its clock says.
const SECONDS: u64 = 600;
const SLOWNESS: u64 = 20;

/// What the kernel says where it runs with PCIDs.
const PCIDS: &str = "; PCIDs on; ";

/// Runs `cargo xtask bochs`.
pub(crate) fn command(args: &BochsArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    setup::boot_loader(Install::Allowed, verbosity)?;
    let bochs = setup::bochs(Install::Allowed, verbosity)?;
    let (elf, options) = boots(args, &workspace, verbosity)?;
    let folder = tempfile::Builder::new().prefix("rar-bochs-").tempdir();
    let folder = folder.context("cannot create a folder for temporary files")?;
    let iso = folder.path().join("image.iso");
    grub::iso(&elf, &Menu::Only(options), &iso, verbosity)?;
    let begin = Instant::now();
    let cmd = emulator::command(&bochs, args, folder.path(), &iso)?;
    let limit = SECONDS + SLOWNESS * args.soak.unwrap_or(0);
    let limit = Duration::from_secs(args.timeout.unwrap_or(limit));
    let mut progress = Progress::new(args, verbosity);
    let finished = guest::run(&cmd, limit, verbosity, |record| progress.record(record))?;
    progress.step.finish();
    match judge(args, &finished) {
        Ok(what) => {
            let seconds = begin.elapsed().as_secs_f64();
            outln!(
                "Bochs, {} with {} CPUs: {what} in {seconds:.1} s",
                args.model,
                args.cpus
            );
            Ok(())
        }
        Err(why) => {
            let message = format!("{why}\n{}", said(&finished.transcript, folder.path()));
            Err(Fault::new(Reason::Failed, message).into())
        }
    }
}

/// Returns the kernel that boots, and its options. A deadline counts the ticks of a processor a
/// hundred times as fast as the emulator.
fn boots(
    args: &BochsArgs,
    workspace: &Workspace,
    verbosity: Verbosity,
) -> Result<(PathBuf, String)> {
    let elf = match args.soak {
        Some(_) => test_kernel::build(workspace, &kernel::target(workspace), verbosity)?,
        None => build_kernel(workspace, verbosity)?,
    };
    let options = match args.soak {
        Some(seconds) => {
            let seed = args.seed;
            format!("soak={seconds} seed={seed} backends=software deadline=20 faults=512")
        }
        None => {
            let flushes = suite::FLUSHES;
            format!(
                "run=quick backends=software initiators=1 flushes={flushes} deadline=20 \
                 page-seconds=0 end=debug-exit"
            )
        }
    };
    Ok((elf, options))
}

/// Shows how a run goes.
struct Progress {
    step: Step,
    tests: u32,
}

impl Progress {
    fn new(args: &BochsArgs, verbosity: Verbosity) -> Self {
        let what = if args.soak.is_some() { "soak" } else { "suite" };
        Self {
            step: Step::new(&format!("the {what} in Bochs"), verbosity),
            tests: 0,
        }
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Soak(soak) => self.step.say(&format!(
                "soak in Bochs  {} s  {} flushes  {} verified  {} stale",
                soak.milliseconds / 1_000,
                soak.flushes(),
                soak.verified(),
                soak.stale
            )),
            Record::Test(test) => {
                self.tests += 1;
                self.step
                    .say(&format!("Bochs  {} tests, {}", self.tests, test.name));
            }
            _ => {}
        }
    }
}

/// Returns what a run has shown, or what is wrong.
fn judge(args: &BochsArgs, finished: &Finished) -> Result<String, String> {
    if matches!(finished.ending, Ending::TimedOut(_) | Ending::Signalled(_)) {
        return Err(format!(
            "Bochs did not end by itself: {:?}",
            finished.ending
        ));
    }
    let lines = &finished.transcript.lines;
    if !lines.iter().any(|line| line.contains(PCIDS)) {
        return Err(format!("{} has no PCIDs, which Bochs is for", args.model));
    }
    if args.soak.is_none() {
        let count = suite::judge(args.cpus, finished)?;
        return Ok(format!("{count} tests passed"));
    }
    let soak = soak::judge(args.cpus, finished)?;
    Ok(format!(
        "the soak passed, {} flushes, {} verified, {} of {} faults accounted for, {} PCIDs used \
         again, {} loads of CR3 with bit 63,",
        soak.flushes(),
        soak.verified(),
        soak.accounted(),
        soak.injected(),
        soak.pcids,
        soak.kept
    ))
}

/// Returns the last lines of the kernel, and why Bochs gave up if it did.
fn said(transcript: &Transcript, folder: &Path) -> String {
    let lines = transcript.lines.iter().rev().take(12).rev();
    let last: Vec<_> = lines.map(String::as_str).collect();
    let log = fs::read_to_string(folder.join("bochs.log")).unwrap_or_default();
    let panic = log.lines().rev().find(|line| line.contains(">>PANIC<<"));
    format!("  {}\n{}", last.join("\n  "), panic.unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use rar_harness::samples::complete;

    use super::*;

    #[test]
    fn only_a_run_with_pcids_that_ends_by_itself_is_judged() {
        let finished = |pcids: &str, ending| {
            let mut transcript = Transcript::default();
            let info = format!("GenuineIntel; PCIDs {pcids}; 511 MiB of RAM");
            transcript.push(complete(&info));
            Finished {
                transcript,
                ending,
                stderr: String::new(),
            }
        };
        let args = BochsArgs::default();
        let why = |finished| judge(&args, &finished).unwrap_err();
        assert!(why(finished("absent", Ending::Exited(1))).contains("has no PCIDs"));
        let late = Ending::TimedOut(Duration::from_secs(7));
        assert!(why(finished("on", late)).contains("did not end by itself"));
        assert!(why(finished("on", Ending::Exited(1))).contains("verdict"));
        let soak = BochsArgs {
            soak: Some(1),
            ..args.clone()
        };
        let none = judge(&soak, &finished("on", Ending::Exited(1)));
        assert_eq!(none, Err("the soak did not end".to_owned()));
    }
}
