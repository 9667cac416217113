//! The boot image in Bochs, which plays Intel processors with features that QEMU's TCG lacks:
//! PCIDs, INVPCID, VMX.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use rar_harness::ending::Ending;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::guest::{self, Finished};
use rar_harness::outln;
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::records::Record;
use rar_harness::requirements::{beyond_tcg, functional};
use rar_harness::run::Run;
use rar_harness::setup::{self, Bochs, Install};
use rar_harness::workspace::Workspace;
use rar_image_harness::boot::{build_kernel, kernel_verdict};
use rar_image_harness::grub::{self, Menu};
use rar_vocabulary::{Backend, Outcome, Verdict};

#[derive(Args, Clone, Debug)]
pub(crate) struct BochsArgs {
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(2..=8))]
    pub(crate) cpus: u32,
    /// The processor, as `bochs --help cpu` names it
    #[arg(long, value_name = "MODEL", default_value = BOCHS_MODEL)]
    pub(crate) model: String,
    /// End Bochs after this many seconds
    #[arg(long, value_name = "SECS", default_value_t = BOCHS_SECONDS,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
}

impl Default for BochsArgs {
    fn default() -> Self {
        Self {
            cpus: 4,
            model: BOCHS_MODEL.to_owned(),
            timeout: BOCHS_SECONDS,
        }
    }
}

/// Of the models of Bochs 2.7 the last one that it plays with every feature used here.
const BOCHS_MODEL: &str = "corei7_icelake_u";
const BOCHS_SECONDS: u64 = 600;

const FLUSHES: u32 = 50;

/// What the kernel says where it runs with PCIDs.
const PCIDS: &str = "; PCIDs on; ";

/// Runs `cargo xtask bochs`.
pub(crate) fn command(args: &BochsArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    setup::boot_loader(Install::Allowed, verbosity)?;
    let bochs = setup::bochs(Install::Allowed, verbosity)?;
    let elf = build_kernel(&workspace, verbosity)?;
    let folder = tempfile::Builder::new().prefix("rar-bochs-").tempdir();
    let folder = folder.context("cannot create a folder for temporary files")?;
    let iso = folder.path().join("image.iso");
    // A deadline counts the ticks of a processor a hundred times as fast as the emulator.
    let options = format!(
        "run=quick backends=software initiators=1 flushes={FLUSHES} deadline=20 page-seconds=0 \
         end=debug-exit"
    );
    grub::iso(&elf, &Menu::Only(options), &iso, verbosity)?;
    let begin = Instant::now();
    let cmd = bochs_command(&bochs, args, folder.path(), &iso)?;
    let finished = guest::run(&cmd, Duration::from_secs(args.timeout), verbosity, |_| {})?;
    match judge(args, &finished) {
        Ok(count) => {
            let seconds = begin.elapsed().as_secs_f64();
            outln!(
                "Bochs, {} with {} CPUs: {count} tests passed in {seconds:.1} s",
                args.model,
                args.cpus
            );
            Ok(())
        }
        Err(why) => {
            let lines = finished.transcript.lines.iter().rev().take(12).rev();
            let last: Vec<_> = lines.map(String::as_str).collect();
            let log = fs::read_to_string(folder.path().join("bochs.log")).unwrap_or_default();
            let said = log.lines().rev().find(|line| line.contains(">>PANIC<<"));
            let message = format!("{why}\n  {}\n{}", last.join("\n  "), said.unwrap_or(""));
            Err(Fault::new(Reason::Failed, message).into())
        }
    }
}

/// Returns the command that boots an image; its serial port comes on standard output.
fn bochs_command(bochs: &Bochs, args: &BochsArgs, folder: &Path, iso: &Path) -> Result<Cmd> {
    let (settings, orders, log) = (
        folder.join("bochsrc"),
        folder.join("orders"),
        folder.join("bochs.log"),
    );
    // RFB is the one display that needs neither screen nor terminal. Without VBE: GRUB 2.06 does
    // not survive its modes here.
    let text = format!(
        "display_library: rfb, options=\"timeout=0\"\n\
         plugin_ctrl: speaker=0, usb_uhci=0, parallel=0, gameport=0\n\
         cpu: count={}, model={}, ips=20000000, reset_on_triple_fault=0\n\
         clock: sync=none\n\
         megs: 512\n\
         romimage: file={}\n\
         vgaromimage: file={}\n\
         vga: extension=none\n\
         ata0-master: type=cdrom, path={}, status=inserted\n\
         boot: cdrom\n\
         com1: enabled=1, mode=file, dev=/dev/stdout\n\
         log: {}\n\
         panic: action=fatal\n",
        args.cpus,
        args.model,
        bochs.bios,
        bochs.vga_bios,
        utf8(iso)?,
        utf8(&log)?
    );
    let cannot = || format!("cannot write into {}", folder.display());
    fs::write(&settings, text).with_context(cannot)?;
    // Debian's Bochs has its debugger, which waits for the order to continue.
    fs::write(&orders, "c\n").with_context(cannot)?;
    let cmd = Cmd::new(utf8(&bochs.program)?).args(["-q", "-f", utf8(&settings)?]);
    Ok(cmd.args(["-rc", utf8(&orders)?]))
}

/// Returns how many tests passed, or what is wrong.
fn judge(args: &BochsArgs, finished: &Finished) -> Result<usize, String> {
    if matches!(finished.ending, Ending::TimedOut(_) | Ending::Signalled(_)) {
        return Err(format!(
            "Bochs did not end by itself: {:?}",
            finished.ending
        ));
    }
    if kernel_verdict(finished) != Some(Verdict::Holds) {
        let verdict = kernel_verdict(finished);
        return Err(format!("the kernel's verdict is {verdict:?}"));
    }
    let lines = &finished.transcript.lines;
    if !lines.iter().any(|line| line.contains(PCIDS)) {
        return Err(format!("{} has no PCIDs, which Bochs is for", args.model));
    }
    let run = Run::functional(Backend::Software, args.cpus, FLUSHES, 1);
    let mut count = 0;
    // Bochs has VMX; the kernel lets CPUs die in QEMU only.
    let required = run.expectation().required;
    let must_run = functional()
        .filter(|test| beyond_tcg(test) || required.contains(&test.name) && !test.crash);
    for test in must_run {
        let name = test.name;
        let of_test = |record: &Record| match record {
            Record::Test(test) if test.name == name => Some(test.outcome),
            _ => None,
        };
        let records = &finished.transcript.records;
        let mut outcomes = records.iter().filter_map(of_test).peekable();
        if outcomes.peek().is_none() {
            return Err(format!("{name} has no record"));
        }
        for outcome in outcomes {
            // Its INVPCID drops more than it names; and what guests use is an open question.
            let open = test.spares || beyond_tcg(test);
            if outcome != Outcome::Pass && !(open && outcome == Outcome::Observed) {
                return Err(format!("{name}: {outcome:?}"));
            }
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use rar_harness::ending::Ending;
    use rar_harness::records::{Line, Transcript};

    use super::*;

    fn finished(outcome: &str, verdict: &str, pcids: &str) -> Finished {
        let test = rar_harness::samples::TEST;
        let line = |text: String| Line {
            text,
            complete: true,
        };
        let mut transcript = Transcript::default();
        transcript.push(line(format!("GenuineIntel; PCIDs {pcids}; 511 MiB of RAM")));
        let run = Run::functional(Backend::Software, 4, FLUSHES, 1);
        let required = run.expectation().required;
        for name in required.into_iter().chain(["target-in-guest"]) {
            let named = test.replace("one-page", name);
            transcript.push(line(named.replace("\"pass\"", &format!("\"{outcome}\""))));
        }
        transcript.push(line(format!("verdict: {verdict}")));
        Finished {
            transcript,
            ending: Ending::Exited(1),
            stderr: String::new(),
        }
    }

    #[test]
    fn only_a_whole_run_with_pcids_passes() {
        let args = BochsArgs::default();
        let good = finished("pass", "holds", "on");
        let required = Run::functional(Backend::Software, 4, FLUSHES, 1).expectation();
        // One runs in guests, and one needs CPUs that die.
        assert_eq!(judge(&args, &good), Ok(required.required.len() + 1 - 1));
        for bad in [
            finished("fail", "holds", "on"),
            finished("observed", "holds", "on"),
            finished("pass", "VIOLATED", "on"),
            finished("pass", "holds", "absent"),
        ] {
            assert!(judge(&args, &bad).is_err());
        }
        let mut less = finished("pass", "holds", "on");
        less.transcript.records.pop();
        assert!(judge(&args, &less).is_err());
    }
}
