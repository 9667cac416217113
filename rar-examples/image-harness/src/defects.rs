//! `cargo xtask image --defect`: the image is booted with broken RAR units, and its report has to
//! say so at the right test.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::expected_detections::{self, TestOutcome};
use rar_harness::modes::Thread;
use rar_harness::process::Verbosity;
use rar_harness::run::Run;
use rar_harness::setup::{self, Install, Qemu};
use rar_harness::text::table;
use rar_harness::workspace::Workspace;
use rar_harness::{defect_names, outln, parallel, progress};
use rar_model::Defect;
use rar_report::{Backend, EndReason, EventKind, Outcome as Says};
use rar_report_page::{Report, Verdict};
use rar_vocabulary::{Counts, Outcome};

use crate::boot;
use crate::expected_report::serial_report;
use crate::grub::{self, Menu};
use crate::machine::{Boot, MachineArgs};

const CPUS: u32 = 2;
const FLUSHES: u32 = 20;
/// A broken unit may cost every flush its deadline.
const TIMEOUT_SECONDS: u64 = 300;
/// A longer list of tests is counted, not shown.
const LISTED: usize = 4;

/// The defects that every `cargo xtask test` boots, each with a test that it leaves whole.
const REPRESENTATIVES: [(Defect, &str); 2] = [
    // Does SUCCESS mean flushed? With such a unit it does not.
    (Defect::SuccessWithoutFlush, "deferred-is-spared"),
    (Defect::StrideSameSizeOnly, "large-page"),
];

/// One boot.
#[derive(Clone, Debug)]
struct Case {
    defect: Option<Defect>,
    thread: Thread,
    /// The tests that run; all if empty.
    tests: Vec<&'static str>,
}

/// What came of a boot.
#[derive(Debug)]
struct Row {
    name: &'static str,
    /// Who told, or what is wrong.
    verdict: Result<String, String>,
    /// The tests that are violated.
    violated: Vec<String>,
    took: Duration,
}

/// Boots the image with the defect asked for, or with each, and once for each way of running with
/// none. Fails unless each report is right.
///
/// # Errors
///
/// A defect is not reported as it must be, or the image cannot be built or booted.
pub fn command(asked: &str, qemu: Option<&Path>, verbosity: Verbosity) -> Result<()> {
    setup::boot_loader(Install::Allowed, verbosity)?;
    let emulator = setup::emulator(qemu, verbosity)?;
    let elf = boot::build_kernel(&Workspace::this()?, verbosity)?;
    let defects = defect_names::chosen(asked)
        .map(|defect| (Some(defect), expected_detections::thread(defect)));
    let none = [(None, Thread::Single), (None, Thread::Multi)];
    let cases: Vec<_> = none
        .into_iter()
        .chain(defects)
        .map(|(defect, thread)| Case {
            defect,
            thread,
            tests: expected_detections::tests(thread).to_vec(),
        })
        .collect();
    let (count, failure) = boot_all(&cases, &elf, &emulator, verbosity)?;
    outln!("{count}");
    failure.map_or(Ok(()), Err)
}

/// Boots the image with the representatives, each with the test that detects it and one that it
/// does not break.
///
/// # Errors
///
/// The image cannot be built or booted. What a machine reports is no error here: it is counted.
pub fn stage(elf: &Path, emulator: &Qemu, verbosity: Verbosity) -> Result<(Counts, Option<Error>)> {
    let cases = REPRESENTATIVES.map(|(defect, whole)| Case {
        defect: Some(defect),
        thread: expected_detections::thread(defect),
        tests: expected_detections::detecting_test(defect)
            .into_iter()
            .chain([whole])
            .collect(),
    });
    boot_all(&cases, elf, emulator, verbosity)
}

fn boot_all(
    cases: &[Case],
    elf: &Path,
    emulator: &Qemu,
    verbosity: Verbosity,
) -> Result<(Counts, Option<Error>)> {
    let rows = parallel::by_cores(
        cases,
        |case| case.thread.cores(),
        |case| {
            let row = boot(case, elf, emulator, verbosity)?;
            let seconds = row.took.as_secs_f64();
            progress::line(&format!("{}: {} in {seconds:.1} s", row.name, row.word()));
            Ok(row)
        },
    )?;
    let mut shown = table(&["defect", "the report", "violated"]);
    for row in &rows {
        shown.add_row([row.name.to_owned(), row.word().to_owned(), row.listed()]);
    }
    outln!("{shown}");
    let wrong = rows.iter().filter_map(|row| {
        let why = row.verdict.as_ref().err()?;
        Some(format!("{}: {why}", row.name))
    });
    let wrong: Vec<_> = wrong.collect();
    let count = Counts {
        passed: rows.len() - wrong.len(),
        failed: wrong.len(),
        ..Counts::NONE
    };
    let failure = (!wrong.is_empty()).then(|| Fault::new(Reason::Failed, wrong.join("\n")).into());
    Ok((count, failure))
}

impl Row {
    fn word(&self) -> &str {
        match &self.verdict {
            Ok(word) | Err(word) => word,
        }
    }

    /// The tests that are violated, or how many if there are many.
    fn listed(&self) -> String {
        match self.violated.len() {
            0..=LISTED => self.violated.join(", "),
            many => format!("{many} tests"),
        }
    }
}

impl Case {
    fn options(&self) -> String {
        let mut words = vec![format!(
            "run=quick backends=vrar initiators=1 flushes={FLUSHES} measure=off"
        )];
        words.extend(self.defect.map(|defect| format!("defect={defect}")));
        // Where host threads race, a target may take longer.
        words.extend((self.thread == Thread::Single).then(|| "deadline=20".to_owned()));
        words.extend((!self.tests.is_empty()).then(|| format!("test={}", self.tests.join(","))));
        words.push("page-seconds=0 end=debug-exit".to_owned());
        words.join(" ")
    }
}

fn boot(case: &Case, elf: &Path, emulator: &Qemu, verbosity: Verbosity) -> Result<Row> {
    let begin = Instant::now();
    let folder = tempfile::Builder::new().prefix("rar-defect-").tempdir();
    let folder = folder.context("cannot create a folder for temporary files")?;
    let iso = folder.path().join("image.iso");
    grub::iso(elf, &Menu::Only(case.options()), &iso, verbosity)?;
    let machine = MachineArgs::usual(CPUS, case.thread, TIMEOUT_SECONDS);
    let finished = boot::run(Boot::Bios, &machine, emulator, &iso, verbosity)?;
    let bytes = serial_report(&finished.transcript);
    let name = match (case.defect, case.thread) {
        (Some(defect), _) => defect.name(),
        (None, Thread::Single) => "(nothing is broken)",
        (None, Thread::Multi) => "(nothing is broken, host threads race)",
    };
    let (verdict, violated) = match bytes {
        Ok(bytes) => judge(case, &Report::read(&bytes, &[])),
        Err(why) => (Err(format!("{why} ({:?})", finished.ending)), Vec::new()),
    };
    Ok(Row {
        name,
        verdict,
        violated,
        took: begin.elapsed(),
    })
}

/// Judges what a report says; returns the tests that it calls violated, too.
fn judge(case: &Case, report: &Report<'_>) -> (Result<String, String>, Vec<String>) {
    let seen = seen(report);
    let violated: Vec<_> = expected_detections::violated(&seen)
        .map(|one| one.test.clone())
        .collect();
    let right = match violated.is_empty() {
        true => Verdict::Holds,
        false => Verdict::Violated,
    };
    let ended = report.end.map(|end| end.reason);
    let list = Run::functional(Backend::Vrar, CPUS, FLUSHES, 1)
        .expectation()
        .list;
    let asked = if case.tests.is_empty() {
        list.as_slice()
    } else {
        case.tests.as_slice()
    };
    let missing = asked
        .iter()
        .find(|test| !seen.iter().any(|one| one.test == **test));
    let expected = [EventKind::BackendUnavailable, EventKind::Note];
    let mut events = report.events.iter();
    let strange = events.find(|event| !expected.contains(&event.kind));
    let options = report.machine.map_or("", |machine| machine.options);
    let verdict = if options != case.options() {
        Err(format!(
            "the kernel was told `{options}`, not `{}`",
            case.options()
        ))
    } else if let Some(event) = strange {
        Err(format!(
            "unexpected event in the report: {:?}: {}",
            event.kind, event.text
        ))
    } else if ended != Some(EndReason::Complete) || !report.problems.is_empty() {
        Err(format!(
            "the report ends with {ended:?}: {}",
            report.problems.join("; ")
        ))
    } else if let Some(test) = missing {
        Err(format!("the report has no result of {test}"))
    } else if report.verdict() != right {
        Err(format!("the report's verdict is `{}`", report.verdict()))
    } else {
        match case.defect {
            Some(defect) => expected_detections::judge(defect, &seen),
            None => expected_detections::judge_control(&seen).map(|()| "all holds".to_owned()),
        }
    };
    (verdict, violated)
}

/// Returns what the tests made of the shim's units.
fn seen(report: &Report<'_>) -> Vec<TestOutcome> {
    let results = report.results.iter();
    results
        .filter(|result| result.backend == Backend::Vrar)
        .map(|result| {
            let (outcome, why) = match result.outcome {
                Says::Holds => (Outcome::Pass, ""),
                Says::Violated { why, .. } => (Outcome::Fail, why),
                Says::Observed(what) => (Outcome::Observed, what),
                Says::NotRun(why) => (Outcome::Skipped, why),
            };
            TestOutcome {
                test: result.name.to_owned(),
                outcome,
                why: why.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rar_report::{Event, Machine, Record, TestResult, Writer};

    use super::*;

    fn large(tests: &[&'static str]) -> Case {
        Case {
            defect: Some(Defect::StrideSameSizeOnly),
            thread: Thread::Single,
            tests: tests.to_vec(),
        }
    }

    /// Returns what becomes of a report with these results.
    fn judged(
        case: &Case,
        results: &[(Backend, &str, Says<'_>)],
        reason: EndReason,
    ) -> Result<String, String> {
        judged_with(case, results, &[], reason)
    }

    fn judged_with(
        case: &Case,
        results: &[(Backend, &str, Says<'_>)],
        more: &[Record<'_>],
        reason: EndReason,
    ) -> Result<String, String> {
        let mut memory = vec![0; 1 << 14];
        let mut writer = Writer::new(&mut memory, 7, "test");
        writer.push(&Record::Machine(Machine {
            options: &case.options(),
            ..Machine::default()
        }));
        for &(backend, name, outcome) in results {
            writer.push(&Record::Result(TestResult {
                backend,
                name,
                outcome,
                initiators: 1,
                fallbacks: 0,
                resignals: 0,
                disturbances: rar_report::Disturbances::NONE,
            }));
        }
        more.iter().for_each(|record| writer.push(record));
        judge(case, &Report::read(writer.finish(reason), &[])).0
    }

    const STALE: Says<'_> = Says::Violated {
        initiator: 0,
        why: "stale",
    };

    #[test]
    fn only_the_right_test_of_the_right_backend_in_a_whole_report_counts() {
        let told = (Backend::Vrar, "unit-small-stride", STALE);
        let whole = (Backend::Vrar, "large-page", Says::Holds);
        let case = &large(&["large-page"]);
        let right = judged(case, &[told, whole], EndReason::Complete);
        assert_eq!(right, Ok("violated: unit-small-stride".to_owned()));
        assert!(judged(case, &[told, whole], EndReason::Hung).is_err());
        assert!(judged(case, &[whole], EndReason::Complete).is_err());
        let elsewhere = (Backend::Software, "unit-small-stride", STALE);
        assert!(judged(case, &[elsewhere, whole], EndReason::Complete).is_err());
        let stray = (Backend::Vrar, "storm", STALE);
        let why = judged(case, &[told, whole, stray], EndReason::Complete).unwrap_err();
        assert!(why.contains("storm"), "{why}");
    }

    #[test]
    fn a_test_that_was_asked_for_has_a_result() {
        let case = large(&["unit-small-stride", "large-page"]);
        let told = (Backend::Vrar, "unit-small-stride", STALE);
        let why = judged(&case, &[told], EndReason::Complete).unwrap_err();
        assert!(why.contains("no result of large-page"), "{why}");
        let why = judged(&large(&[]), &[told], EndReason::Complete).unwrap_err();
        assert!(why.contains("no result of "), "{why}");
    }

    #[test]
    fn a_kernel_that_did_not_hear_of_the_defect_has_shown_nothing() {
        let told = (Backend::Vrar, "unit-small-stride", STALE);
        let case = large(&["unit-small-stride"]);
        let ignored = Record::Event(Event {
            kind: EventKind::OptionIgnored,
            cpu: None,
            backend: None,
            test: "",
            text: "defect= makes no sense",
        });
        let other = Record::Machine(Machine {
            options: "run=quick",
            ..Machine::default()
        });
        assert!(judged_with(&case, &[told], &[], EndReason::Complete).is_ok());
        for more in [ignored, other] {
            assert!(
                judged_with(&case, &[told], &[more], EndReason::Complete).is_err(),
                "{more:?}"
            );
        }
    }

    #[test]
    fn options_say_what_is_broken_and_what_runs() {
        let case = large(&["one-page", "storm"]);
        let options = case.options();
        for words in [
            "backends=vrar",
            "defect=stride-same-size-only",
            "test=one-page,storm",
            "end=debug-exit",
        ] {
            assert!(options.contains(words), "{options}");
        }
        let whole = Case {
            defect: None,
            ..large(&[])
        }
        .options();
        assert!(
            !whole.contains("defect=") && !whole.contains("test="),
            "{whole}"
        );
    }
}
