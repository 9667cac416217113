//! Boots the image on machines of the catalogue, and judges what each shows.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use rar_harness::ending::{Ending, PANICKED, PASSED};
use rar_harness::exit_code::{Fault, Reason, reason_of};
use rar_harness::guest::Finished;
use rar_harness::process::Verbosity;
use rar_harness::setup::{self, Install, Qemu};
use rar_harness::text::{table, tail};
use rar_harness::{outln, parallel, progress};
use rar_report::Outcome;
use rar_report_page::Report;
use rar_vocabulary::{Counts, Verdict};

use crate::boot::{self, kernel_verdict, verdict_words};
use crate::case::Case;
use crate::expected_records::by_records;
use crate::expected_report::{faults, open, serial_report};
use crate::old_system::{kept, old_system_runs, own_copy};
use crate::test_machine::{ReportChannel, TestMachine};
use crate::{machine, qr_check};

/// How QEMU ends when a guest resets the machine.
const RESET: Ending = Ending::Exited(0);
/// What the kernel says before it resets the machine: a crash that resets it, too, does not.
const FAREWELL: &str = "the machine starts again";
/// How many lines of a failed boot are shown.
const TAIL: usize = 12;

/// What one boot came to.
struct Row {
    machine: TestMachine,
    result: Result<Counts, String>,
    time: Duration,
}

/// Boots the image on each machine; prints a table.
///
/// # Errors
///
/// A program is missing, or the run was interrupted. What a machine reports, or why it could not be
/// judged, is no error here: it is counted.
pub fn boot_all(
    cases: &[Case],
    emulator: &Qemu,
    verbosity: Verbosity,
) -> Result<(Counts, Option<Error>)> {
    // Installed once, not by two boots at a time.
    if cases.iter().any(|case| machine::by_uefi(case.machine.boot)) {
        setup::firmware(Install::Allowed, verbosity)?;
    }
    if cases
        .iter()
        .any(|case| machine::by_network(case.machine.boot))
    {
        setup::network_boot(Install::Allowed, verbosity)?;
    }
    if cases
        .iter()
        .any(|case| case.machine.told == ReportChannel::Both)
    {
        setup::barcodes(Install::Allowed, verbosity)?;
    }
    let mut begun: Vec<_> = cases.iter().enumerate().collect();
    // Reading photos takes longest: last, it would keep one core busy and leave the others idle.
    begun.sort_by_key(|(_, case)| case.machine.told != ReportChannel::Both);
    let mut rows = parallel::each(&begun, parallel::cores(), |_, (number, case)| {
        let begin = Instant::now();
        let machine = &case.machine;
        let result = match boot(case, emulator, verbosity) {
            Ok(judged) => judged,
            Err(error) if reason_of(&error).ends_all() => return Err(error),
            // The results of the others are not lost for it.
            Err(error) => Err(format!("not judged: {error:#}")),
        };
        let row = Row {
            machine: *machine,
            result,
            time: begin.elapsed(),
        };
        let mut said = format!("{}: {}", machine.name, row.word());
        // The others may take long.
        if let Some(why) = row.result.as_ref().err().and_then(|why| why.lines().next()) {
            said.push_str(&format!("\n  {why}"));
        }
        progress::line(&said);
        Ok((*number, row))
    })?;
    rows.sort_by_key(|(number, _)| *number);
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    outln!("{}", render(&rows));
    let mut count = Counts::NONE;
    let mut wrong = Vec::new();
    for Row {
        machine, result, ..
    } in &rows
    {
        match result {
            Ok(more) => count += *more,
            Err(why) => {
                count.failed += 1;
                wrong.push(format!("{} ({}): {why}", machine.name, machine.about));
            }
        }
    }
    let failure = (!wrong.is_empty()).then(|| Fault::new(Reason::Failed, wrong.join("\n")).into());
    Ok((count, failure))
}

impl Row {
    fn word(&self) -> String {
        let seconds = self.time.as_secs_f64();
        match &self.result {
            Ok(count) => format!("passed in {seconds:.1} s, {count}"),
            Err(_) => format!("FAILED in {seconds:.1} s"),
        }
    }
}

fn render(rows: &[Row]) -> String {
    let mut table = table(&["machine", "what", "heard by", "result"]);
    for row in rows {
        let told = match row.machine.told {
            ReportChannel::Serial => "serial line",
            ReportChannel::Screen => "camera",
            ReportChannel::Both => "serial line, and two readers of photos",
            ReportChannel::ExitCode => "exit code only",
            ReportChannel::Refused(_) => "serial line, one sentence",
            ReportChannel::Kept(_) => "serial line, the old system's sentence",
        };
        let TestMachine { name, about, .. } = row.machine;
        table.add_row([name, about, told, &row.word()]);
    }
    table.to_string()
}

/// Makes one boot and judges it.
fn boot(case: &Case, emulator: &Qemu, verbosity: Verbosity) -> Result<Result<Counts, String>> {
    let odd = &case.machine;
    let mut machine = odd.machine();
    machine.more.extend(case.more.iter().cloned());
    // GRUB writes to the disk.
    let own = tempfile::Builder::new().prefix("rar-machine-").tempdir();
    let own = own.context("cannot create a folder for temporary files")?;
    let image = match machine::by_old_system(odd.boot) {
        true => &own_copy(&case.image, own.path())?,
        false => &case.image,
    };
    let (finished, seen) = boot::watch(odd.boot, &machine, emulator, image, verbosity)?;
    let judged = match odd.told {
        ReportChannel::ExitCode => exit_code(&finished),
        ReportChannel::Serial if machine::by_old_system(odd.boot) => {
            match serial(odd, &finished) {
                // The same machine again, as its owner would have it.
                Ok(count) => {
                    let again = boot::run(odd.boot, &machine, emulator, image, verbosity)?;
                    old_system_runs(&again).map(|()| count)
                }
                failed => failed,
            }
        }
        ReportChannel::Serial => serial(odd, &finished),
        ReportChannel::Kept(why) => kept(why, &finished),
        ReportChannel::Screen => {
            let codes: Vec<_> = seen.pages.iter().map(|page| page.text.as_str()).collect();
            screen(odd, finished.ending, &codes)
        }
        ReportChannel::Both => match serial(odd, &finished) {
            Ok(mut count) => match qr_check::check(&finished.transcript, &seen.pages, verbosity) {
                Ok(photos) => {
                    count += photos;
                    Ok(count)
                }
                Err(error) if reason_of(&error).ends_all() => return Err(error),
                Err(why) => Err(format!("the screen: {why:#}")),
            },
            failed => failed,
        },
        ReportChannel::Refused(why) => refused(why, &finished),
    };
    let judged = match refused_command(&finished) {
        Some(line) if case.is_disordered => Err(format!("GRUB makes no disorder: {line}")),
        _ => judged,
    };
    Ok(judged.map_err(|why| {
        let lines = finished.transcript.lines.iter().map(String::as_str);
        let (said, ending) = (tail("console", lines, TAIL), finished.ending);
        format!("{why}; QEMU: {ending:?} {}\n{said}", finished.stderr.trim())
    }))
}

/// Returns the line in which GRUB says that a command failed, if one did.
fn refused_command(finished: &Finished) -> Option<&str> {
    let lines = finished.transcript.lines.iter();
    let mut lines = lines
        .take_while(|line| !line.starts_with("@ "))
        // A GRUB that is started by UEFI looks for modules before that, which it does not have.
        .skip_while(|line| !line.contains("Booting `"));
    let line = lines.find(|line| line.contains("error: "))?;
    Some(line.trim())
}

/// The kernel's verdict is all that can be heard. A crash at any place ends QEMU with another code,
/// or not at all.
fn exit_code(finished: &Finished) -> Result<Counts, String> {
    match finished.ending {
        Ending::Exited(PASSED) => Ok(Counts {
            passed: 1,
            ..Counts::NONE
        }),
        _ => Err(format!(
            "the exit device was not told that all held ({PASSED})"
        )),
    }
}

/// The kernel cannot start, and says why.
fn refused(why: &str, finished: &Finished) -> Result<Counts, String> {
    match finished.transcript.lines.last() {
        Some(line) if line.trim() == why && finished.ending == Ending::Exited(PANICKED) => {
            Ok(Counts {
                skipped: 1,
                ..Counts::NONE
            })
        }
        line => Err(format!("the last line is {line:?}, not `{why}`")),
    }
}

/// The serial line has records and report, and then the machine is reset.
fn serial(odd: &TestMachine, finished: &Finished) -> Result<Counts, String> {
    let lines = &finished.transcript.lines;
    if finished.ending != RESET || lines.last().is_none_or(|line| line != FAREWELL) {
        return Err("the kernel did not reset the machine".to_owned());
    }
    if let Some(unsaid) = odd.says.iter().find(|text| {
        let mut lines = lines.iter();
        !lines.any(|line| line.trim() == **text)
    }) {
        return Err(format!("it does not say `{unsaid}`"));
    }
    if kernel_verdict(finished) != Some(Verdict::Holds) {
        let verdict = kernel_verdict(finished);
        let violated = lines.iter().filter(|line| line.starts_with("VIOLATED "));
        let violated: Vec<_> = violated.map(String::as_str).collect();
        let violated = violated.join("; ");
        return Err(format!("the kernel's verdict is {verdict:?}: {violated}"));
    }
    let words = verdict_words(finished).unwrap_or_default();
    let wanted = format!("{}{}", Verdict::Holds, odd.absent.coverage(odd.cpus));
    if words != wanted {
        return Err(format!("the kernel's verdict is `{words}`, not `{wanted}`"));
    }
    let bytes = serial_report(&finished.transcript)?;
    let report = Report::read(&bytes, &[]);
    let wanted = odd.wanted();
    let mut wrong = faults(&wanted, &report);
    let count = by_records(&wanted, &report, &finished.transcript);
    let count = count.unwrap_or_else(|more| {
        wrong.extend(more);
        Counts::NONE
    });
    none(wrong).map(|()| count)
}

/// The screen has the report, and then the machine is reset. A machine that crashed shows none.
fn screen(odd: &TestMachine, ending: Ending, codes: &[&str]) -> Result<Counts, String> {
    let bytes = open(&codes.join("\n"))?;
    if ending != RESET {
        return Err("the kernel did not reset the machine after its report".to_owned());
    }
    let report = Report::read(&bytes, &[]);
    none(faults(&odd.wanted(), &report))?;
    let mut count = Counts::NONE;
    for result in &report.results {
        match result.outcome {
            Outcome::Holds => count.passed += 1,
            Outcome::Violated { .. } => count.failed += 1,
            Outcome::Observed(_) => count.observed += 1,
            Outcome::NotRun(_) => count.skipped += 1,
        }
    }
    Ok(count)
}

fn none(wrong: Vec<String>) -> Result<(), String> {
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use rar_report::EndReason;

    use super::*;
    use crate::catalogue::CATALOGUE;
    use crate::expected_report::tests::{finished, lines};

    #[test]
    fn who_hears_nothing_goes_by_the_exit_code() {
        assert!(exit_code(&finished(&[], PASSED)).is_ok());
        for code in [0, 1, 35, PANICKED] {
            assert!(exit_code(&finished(&[], code)).is_err(), "{code}");
        }
    }

    #[test]
    fn a_screen_has_a_whole_report_and_then_the_machine_is_reset() {
        let odd = CATALOGUE[0];
        let codes = lines(EndReason::Complete);
        let codes: Vec<_> = codes.iter().map(String::as_str).collect();
        let why = |ending, codes: &[&str]| screen(&odd, ending, codes).unwrap_err();
        assert!(why(RESET, &[]).contains("no report"));
        assert!(why(Ending::Exited(PASSED), &codes).contains("did not reset"));
        assert!(why(RESET, &codes).contains("what the machine is"));
    }

    #[test]
    fn a_kernel_that_cannot_start_says_why_and_ends() {
        let judged = |line, code| refused("no 64-bit mode", &finished(&["boot", line], code));
        assert!(judged("\rno 64-bit mode", PANICKED).is_ok());
        assert!(judged("no 64-bit mode", 0).is_err());
        assert!(judged("no mood", PANICKED).is_err());
        assert!(refused("no 64-bit mode", &finished(&[], PANICKED)).is_err());
    }

    #[test]
    fn a_command_that_grub_refuses_is_found_before_the_first_record_only() {
        let refused = "error: can't find command `wrmsrs'.";
        let said = finished(&[" Booting `calls'", refused, "verdict: holds"], 0);
        assert_eq!(refused_command(&said), Some(refused));
        assert_eq!(refused_command(&finished(&["@ {}", refused], 0)), None);
    }

    #[test]
    fn each_sign_of_an_end_is_needed() {
        let odd = CATALOGUE[0];
        let why = |lines: &[&str], code| serial(&odd, &finished(lines, code)).unwrap_err();
        assert!(why(&["verdict: holds"], 0).contains("did not reset"));
        let told = ["verdict: holds", FAREWELL];
        assert!(why(&told, PASSED).contains("did not reset"));
        assert!(why(&told, 0).contains("no report"));
        let violated = ["VIOLATED storm, CPU 0", "verdict: VIOLATED", FAREWELL];
        assert!(why(&violated, 0).contains("storm, CPU 0"));
        // A report that says too little.
        let report = lines(EndReason::Complete);
        let mut said: Vec<_> = report.iter().map(String::as_str).collect();
        said.extend(told);
        assert!(why(&said, 0).contains("what the machine is"));
    }
}
