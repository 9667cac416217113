//! `cargo xtask qemu --defect`: a broken RAR unit on every CPU of the test kernel, and which test
//! detects it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::expected_detections::{self, TestOutcome};
use rar_harness::logs::Logs;
use rar_harness::modes::Thread;
use rar_harness::process::Verbosity;
use rar_harness::run::{Run, Tests};
use rar_harness::setup::{self, Qemu};
use rar_harness::text::table;
use rar_harness::workspace::Workspace;
use rar_harness::{defect_names, kernel, outln, test_kernel};
use rar_model::Defect;
use rar_vocabulary::Backend;

use crate::qemu::QemuArgs;

/// Enough for one of each kind; with a broken unit each may wait for its fallback.
const FLUSHES: u32 = 3;
/// How long a target may take to answer in these runs, in milliseconds.
const ANSWER_MILLISECONDS: u32 = 20;
/// A broken unit may cost every flush its deadline.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs the suite with the defect asked for, or with each, and prints which tests detected it.
/// Fails unless the right test detects each, and only the expected ones fail.
pub(crate) fn command(asked: &str, args: &QemuArgs, verbosity: Verbosity) -> Result<()> {
    let workspace = Workspace::this()?;
    let qemu = setup::emulator(args.qemu.as_deref(), verbosity)?;
    let kernel = test_kernel::build(&workspace, &kernel::target(&workspace), verbosity)?;
    let mut rows = table(&[
        "defect",
        "test of the driver",
        "test of the units",
        "in QEMU",
    ]);
    let mut wrong = Vec::new();
    for thread in [Thread::Single, Thread::Multi] {
        let seen = seen(&run(None, thread, args), &qemu, &kernel, verbosity)?;
        wrong.extend(
            seen.and_then(|seen| expected_detections::judge_control(&seen))
                .err(),
        );
    }
    for defect in defect_names::chosen(asked) {
        let run = run(Some(defect), expected_detections::thread(defect), args);
        let seen = seen(&run, &qemu, &kernel, verbosity)?;
        let first = |of_units| {
            let tests = seen
                .iter()
                .flat_map(|seen| expected_detections::violated(seen));
            let mut names = tests.map(|one| one.test.as_str());
            names
                .find(|test| test.starts_with("unit-") == of_units)
                .unwrap_or_default()
                .to_owned()
        };
        let (driver, units) = (first(false), first(true));
        let verdict = seen
            .and_then(|seen| expected_detections::judge(defect, &seen))
            .unwrap_or_else(|why| {
                wrong.push(format!("{defect}: {why}"));
                format!("WRONG: {why}")
            });
        rows.add_row([defect.name(), &driver, &units, &verdict]);
    }
    outln!("{rows}");
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Fault::new(Reason::Failed, wrong.join("\n")).into())
}

fn run(defect: Option<Defect>, thread: Thread, args: &QemuArgs) -> Run {
    Run {
        before: args.late_launch.then_some(Backend::Software),
        defect: defect.map(Defect::name),
        answer: (thread == Thread::Single).then_some(ANSWER_MILLISECONDS),
        thread,
        tests: match expected_detections::tests(thread) {
            [] => Tests::Functional,
            names => Tests::Named(names.iter().map(|name| (*name).to_owned()).collect()),
        },
        flushes: FLUSHES,
        initiators: Some(1),
        timeout: Some(LIMIT),
        ..Run::new(Backend::Vrar, 2)
    }
}

/// Returns what every run of every test came to, or what was wrong with the boot as a whole.
fn seen(
    run: &Run,
    qemu: &Qemu,
    kernel: &Path,
    verbosity: Verbosity,
) -> Result<Result<Vec<TestOutcome>, String>> {
    let reports =
        test_kernel::run_quietly(&qemu.path, kernel, run, &Logs::temporary()?, verbosity)?;
    let faults = reports.iter().flat_map(|report| &report.verdict.faults);
    let faults: Vec<_> = faults.map(String::as_str).collect();
    if !faults.is_empty() {
        return Ok(Err(faults.join("; ")));
    }
    let tests = reports.iter().flat_map(|report| &report.verdict.tests);
    let seen = tests.map(|test| TestOutcome {
        test: test.record.name.clone(),
        outcome: test.outcome,
        why: test.why.clone(),
    });
    Ok(Ok(seen.collect()))
}
