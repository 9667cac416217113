//! The stage of the boot image: it is booted on machines of the catalogue, and where it has to end
//! early.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Error, Result};
use rar_harness::elf::dying_at;
use rar_harness::ending::{Ending, PASSED};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::guest::Finished;
use rar_harness::modes::Thread;
use rar_harness::process::Verbosity;
use rar_harness::setup::{self, Install, Qemu};
use rar_harness::workspace::Workspace;
use rar_harness::{parallel, progress};
use rar_report::{EndReason, Event, EventKind};
use rar_report_page::Report;
use rar_vocabulary::{Counts, Verdict};

use crate::boot::{self, kernel_verdict};
use crate::catalogue::CATALOGUE;
use crate::expected_report::serial_report;
use crate::grub::{self, Menu};
use crate::machine::{Boot, MachineArgs};
use crate::test_machine::When;
use crate::{case, catalogue_run, defects, firmware_catalogue};

const TIMEOUT_SECONDS: u64 = 240;

/// One boot and what it has to show.
struct Case {
    name: &'static str,
    boot: Boot,
    cpus: u32,
    kernel: Kernel,
    /// Arguments of QEMU for serial ports, if there are more than the first.
    ports: &'static [&'static str],
    /// What the kernel is told beside how it ends.
    options: String,
    check: fn(&Case, &Finished) -> Result<Counts, String>,
}

/// Whether a kernel is as it was built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Whole,
    /// Its main function raises an exception, before anything can make a report.
    DiesEarly,
}

/// What the boot CPU calls when all CPUs are up.
const MAIN: &str = "rar_kernel_main";

fn cases() -> [Case; 3] {
    [
        Case {
            name: "a CPU stops",
            boot: Boot::Bios,
            cpus: 4,
            kernel: Kernel::Whole,
            ports: &[],
            options:
                "backends=vrar test=one-page,pages-64,storm patience=2 stop=2@pages-64 bogus=1"
                    .to_owned(),
            check: names_the_lost,
        },
        Case {
            name: "a test never ends, told on the second port",
            boot: Boot::Bios,
            cpus: 2,
            kernel: Kernel::Whole,
            ports: &["-serial", "null", "-serial", "stdio"],
            options: "serial=ttyS1,57600 backends=vrar test=one-page,storm flushes=1000000000 \
                      test-seconds=2"
                .to_owned(),
            check: names_the_test,
        },
        Case {
            name: "an exception before there is a report",
            boot: Boot::Bios,
            cpus: 2,
            kernel: Kernel::DiesEarly,
            ports: &[],
            options: "end=reboot".to_owned(),
            check: restarts,
        },
    ]
}

/// Makes every boot.
///
/// # Errors
///
/// The image cannot be built or booted. What a machine reports is no error here: it is counted.
pub fn stage(
    workspace: &Workspace,
    emulator: &Qemu,
    verbosity: Verbosity,
) -> Result<(Counts, Option<Error>)> {
    setup::boot_loader(Install::Allowed, verbosity)?;
    let elf = boot::build_kernel(workspace, verbosity)?;
    let folder = tempfile::Builder::new().prefix("rar-boots-").tempdir();
    let folder = folder.context("cannot create a folder for temporary files")?;
    let ended = parallel::each(&cases(), parallel::cores(), |lane, case| {
        let begin = Instant::now();
        let own = folder.path().join(lane.to_string());
        fs::create_dir_all(&own).context("cannot create a folder for an image")?;
        let judged = boot_one(case, &elf, &own, emulator, verbosity)?;
        let word = if judged.is_ok() { "passed" } else { "FAILED" };
        let seconds = begin.elapsed().as_secs_f64();
        progress::line(&format!("{}: {word} in {seconds:.1} s", case.name));
        Ok(judged)
    })?;
    let mut total = Counts::NONE;
    let mut wrong = Vec::new();
    for judged in ended {
        match judged {
            Ok(count) => total += count,
            Err(why) => {
                wrong.push(why);
                total.failed += 1;
            }
        }
    }
    let mut machines = CATALOGUE.to_vec();
    machines.retain(|odd| odd.when == When::Test);
    let mut cases = case::cases(&machines, &elf, folder.path(), verbosity)?;
    let mut rows = firmware_catalogue::rows();
    rows.retain(|row| row.machine.when == When::Test);
    cases.extend(case::disordered_cases(
        &rows,
        &elf,
        folder.path(),
        verbosity,
    )?);
    let (count, failure) = catalogue_run::boot_all(&cases, emulator, verbosity)?;
    total += count;
    wrong.extend(failure.map(|error| error.to_string()));
    let (count, failure) = defects::stage(&elf, emulator, verbosity)?;
    total += count;
    wrong.extend(failure.map(|error| error.to_string()));
    let failure = (!wrong.is_empty()).then(|| Fault::new(Reason::Failed, wrong.join("\n")).into());
    Ok((total, failure))
}

/// Makes one boot and judges it; the folder is for its image alone.
fn boot_one(
    case: &Case,
    elf: &Path,
    folder: &Path,
    emulator: &Qemu,
    verbosity: Verbosity,
) -> Result<Result<Counts, String>> {
    let iso = folder.join("image.iso");
    let options = format!("page-seconds=0 end=debug-exit {}", case.options);
    let spoiled = folder.join("spoiled");
    let elf = match case.kernel {
        Kernel::Whole => elf,
        Kernel::DiesEarly => {
            fs::write(&spoiled, dying_at(elf, MAIN)?)
                .with_context(|| format!("cannot write {}", spoiled.display()))?;
            &spoiled
        }
    };
    grub::iso(elf, &Menu::Only(options), &iso, verbosity)?;
    let machine = MachineArgs {
        no_serial: !case.ports.is_empty(),
        more: case.ports.iter().map(|word| (*word).to_owned()).collect(),
        ..MachineArgs::usual(case.cpus, Thread::Single, TIMEOUT_SECONDS)
    };
    let finished = boot::run(case.boot, &machine, emulator, &iso, verbosity)?;
    Ok((case.check)(case, &finished).map_err(|why| {
        let lines = finished.transcript.lines.iter().rev().take(12).rev();
        let last: Vec<_> = lines.map(String::as_str).collect();
        format!("{}: {why}\n  {}", case.name, last.join("\n  "))
    }))
}

/// The run ended early, and told by whom, and what it knew.
fn names_the_lost(_: &Case, finished: &Finished) -> Result<Counts, String> {
    let said = |text: &str| {
        let mut lines = finished.transcript.lines.iter();
        match lines.any(|line| line.contains(text)) {
            true => Ok(()),
            false => Err(format!("it does not say `{text}`")),
        }
    };
    said("option bogus is unknown and ignored")?;
    said("in test pages-64 (initiator 0); not there: CPU 2")?;
    said("CPU 2 does not answer, not even an NMI")?;
    said("vrar      4 hold")?;
    let told = [
        Happened(EventKind::OptionIgnored, None, "", "bogus"),
        Happened(EventKind::Hung, None, "pages-64", "not there: CPU 2"),
        Happened(EventKind::CpuSilent, Some(2), "pages-64", "CPU 2"),
    ];
    incomplete(finished, EndReason::CpusLost, &told)
}

/// The watchdog ended the run, and the report says in which test.
fn names_the_test(_: &Case, finished: &Finished) -> Result<Counts, String> {
    let ended = "the run ended in test storm".to_owned();
    if !finished.transcript.lines.contains(&ended) {
        return Err(format!("it does not say `{ended}`"));
    }
    let told = [Happened(EventKind::Hung, None, "storm", "watchdog")];
    incomplete(finished, EndReason::Hung, &told)
}

/// The exception is printed, and the machine restarts by itself: no person may be there.
fn restarts(_: &Case, finished: &Finished) -> Result<Counts, String> {
    let mut lines = finished.transcript.lines.iter();
    if !lines.any(|line| line.starts_with("PANIC on CPU 0 ")) {
        return Err("it does not say that it panics".to_owned());
    }
    match finished.ending {
        Ending::Exited(0) => Ok(Counts {
            passed: 1,
            ..Counts::NONE
        }),
        ending => Err(format!("the machine does not restart: {ending:?}")),
    }
}

/// What a report has to tell: the kind of event, its CPU if one is wanted, its test, and words of
/// its text.
#[derive(Clone, Copy, Debug)]
struct Happened(EventKind, Option<u32>, &'static str, &'static str);

/// The report of a run that ended early says so, and what happened.
fn incomplete(finished: &Finished, reason: EndReason, told: &[Happened]) -> Result<Counts, String> {
    whole_report(finished, reason, told)?;
    if kernel_verdict(finished) != Some(Verdict::Incomplete) {
        return Err("the kernel's verdict is not INCOMPLETE".to_owned());
    }
    if finished.ending == Ending::Exited(PASSED) {
        return Err("the kernel says by its exit code that all passed".to_owned());
    }
    Ok(Counts {
        passed: 1,
        ..Counts::NONE
    })
}

/// There is a report, which nothing was left out of, which tells what happened, and which ends for
/// that reason.
fn whole_report(finished: &Finished, reason: EndReason, told: &[Happened]) -> Result<(), String> {
    let bytes = serial_report(&finished.transcript)?;
    let report = Report::read(&bytes, &[]);
    for wanted in told {
        let Happened(kind, cpu, test, words) = *wanted;
        let is_it = |event: &Event<'_>| {
            (event.kind, event.test) == (kind, test)
                && (cpu.is_none() || event.cpu == cpu)
                && event.text.contains(words)
        };
        if !report.events.iter().any(is_it) {
            return Err(format!(
                "the report has no event {wanted:?} (got {:?})",
                report.events
            ));
        }
    }
    match report.end {
        Some(end) if end.reason == reason && report.problems.is_empty() => Ok(()),
        end => Err(format!(
            "the report ends with {end:?}, {:?}",
            report.problems
        )),
    }
}

#[cfg(test)]
mod tests {
    use rar_report::Record;

    use super::*;
    use crate::expected_report::tests::{finished, lines_with};

    #[test]
    fn an_exception_must_be_printed_and_end_in_a_restart() {
        let [.., early] = cases();
        let judged = |lines: &[&str], code| restarts(&early, &finished(lines, code)).is_ok();
        let line = "PANIC on CPU 0 (APIC id 0): exception #UD";
        assert!(judged(&[line], 0));
        assert!(!judged(&[line], 37) && !judged(&["the machine starts again"], 0));
    }

    #[test]
    fn a_boot_that_shows_too_little_fails() {
        let [stops, ..] = cases();
        let told = [
            "option bogus is unknown and ignored; the options are run",
            "GIVING UP on CPU 1: CPU 1 waited 2 s for a barrier in test pages-64 (initiator 0); \
             not there: CPU 2",
            "CPU 2 does not answer, not even an NMI",
            "vrar      4 hold, 0 violated, 0 observed, 0 not run, not to the end",
            "verdict: INCOMPLETE",
        ];
        let event = |kind, cpu, test, text| {
            Record::Event(Event {
                kind,
                cpu,
                backend: None,
                test,
                text,
            })
        };
        let events = [
            event(
                EventKind::OptionIgnored,
                None,
                "",
                "option bogus is unknown",
            ),
            event(
                EventKind::Hung,
                Some(1),
                "pages-64",
                "waited; not there: CPU 2",
            ),
            event(EventKind::CpuSilent, Some(2), "pages-64", "CPU 2 is silent"),
        ];
        let judged = |told: &[&str], events: &[Record<'_>], code| {
            let lines = lines_with(events, EndReason::CpusLost);
            let all: Vec<_> = told
                .iter()
                .copied()
                .chain(lines.iter().map(String::as_str))
                .collect();
            names_the_lost(&stops, &finished(&all, code)).map(|count| count.passed)
        };
        assert_eq!(judged(&told, &events, 35), Ok(1));
        assert!(judged(&told, &events, 33).is_err());
        for missing in 0..told.len() {
            let mut less = told.to_vec();
            less.remove(missing);
            assert!(judged(&less, &events, 35).is_err(), "{missing}");
        }
        for missing in 0..events.len() {
            let mut less = events.to_vec();
            let gone = less.remove(missing);
            assert!(judged(&told, &less, 35).is_err(), "{gone:?}");
        }
        assert!(names_the_lost(&stops, &finished(&told, 35)).is_err());
    }
}
