//! Patches that the test kernel in QEMU must notice.

use std::collections::BTreeSet;

use anyhow::Result;
use rar_harness::exit_code::{Fault, Reason};
use rar_harness::judged_run::{JudgedRun, require_pass};
use rar_harness::logs::Logs;
use rar_harness::process::Verbosity;
use rar_harness::run::{Run, Tests};
use rar_harness::setup::Qemu;
use rar_harness::verdict::JudgedTest;
use rar_harness::workspace::Workspace;
use rar_harness::{kernel, outln, test_kernel};
use rar_vocabulary::{Backend, Outcome};

use crate::catch::{Catch, changed_copy, shows_nothing};
use crate::mutant::not_caught;
use crate::patch::{Kind, Sabotage};

/// Flushes per CPU in the volume tests: what a patch breaks shows at once, and a broken flush waits
/// for its deadline.
const VOLUME: u32 = 200;

/// Runs the unchanged workspace and a changed copy; returns the tests that noticed the change.
///
/// # Errors
///
/// A test does not notice: [`Reason::NotCaught`]; or the kernel cannot be run.
pub fn catch_by_qemu(
    workspace: &Workspace,
    sabotage: &Sabotage,
    qemu: &Qemu,
    runs: &[Run],
    verbosity: Verbosity,
) -> Result<Vec<Catch>> {
    let Kind::Qemu {
        caught_by,
        messages,
        ..
    } = &sabotage.kind
    else {
        return Err(Fault::new(
            Reason::Usage,
            format!("{} is no patch for QEMU", sabotage.name),
        )
        .into());
    };
    outln!("{}: the unchanged workspace first", sabotage.name);
    let honest = test_kernel::build(workspace, &kernel::target(workspace), verbosity)
        .and_then(|kernel| {
            test_kernel::run_all(&qemu.path, &kernel, runs, &Logs::temporary()?, verbosity)
        })
        .and_then(|reports| require_pass(&reports).map(|()| reports))
        .map_err(shows_nothing)?;
    outln!("{}: now the changed copy", sabotage.name);
    let copy = changed_copy(workspace, sabotage)?;
    let kernel = test_kernel::build(&copy, &workspace.target.join("sabotage-build"), verbosity)
        .map_err(|error| {
            not_caught(&format!(
                "the changed workspace does not build, which proves nothing\n{error:#}"
            ))
        })?;
    let changed = test_kernel::run_all(&qemu.path, &kernel, runs, &Logs::temporary()?, verbosity)?;
    judge(caught_by, messages, &honest, &changed).map_err(|why| not_caught(&why).into())
}

/// Returns the tests that noticed, or why that does not count.
fn judge(
    caught_by: &[String],
    messages: &[String],
    honest: &[JudgedRun],
    changed: &[JudgedRun],
) -> Result<Vec<Catch>, String> {
    for name in caught_by {
        let passed =
            |test: &&JudgedTest| test.record.name == *name && test.outcome == Outcome::Pass;
        if !honest
            .iter()
            .any(|report| report.verdict.tests.iter().any(|test| passed(&test)))
        {
            return Err(format!(
                "the expected test {name} did not run in the unchanged workspace"
            ));
        }
    }
    let faults: Vec<_> = changed
        .iter()
        .flat_map(|report| &report.verdict.faults)
        .map(String::as_str)
        .collect();
    if !faults.is_empty() {
        let text =
            "the guest did not end by itself with all its records, which no test's assertion did";
        return Err(format!("{text}: {}", faults.join("; ")));
    }
    let failed: Vec<_> = changed
        .iter()
        .flat_map(|report| &report.verdict.tests)
        .filter(|test| test.outcome == Outcome::Fail)
        .collect();
    if failed.is_empty() {
        return Err("every test passed".to_owned());
    }
    let noticed = |name: &String| {
        let own = failed.iter().filter(|test| test.record.name == *name);
        let whys: Vec<_> = own.map(|test| test.why.as_str()).collect();
        let said = |why: &&&str| messages.iter().any(|message| why.contains(message));
        match (whys.iter().find(said), whys.first()) {
            (Some(why), _) => Ok(Catch {
                test: name.clone(),
                why: (*why).to_owned(),
            }),
            (None, Some(why)) => Err(format!(
                "{name} failed, but not with `{}`: {why}",
                messages.join("` or `")
            )),
            (None, None) => Err(format!(
                "the expected test did not fail: {name}; what failed was: {}",
                names(&failed)
            )),
        }
    };
    caught_by.iter().map(noticed).collect()
}

/// Returns the names of tests, each once.
fn names(tests: &[&JudgedTest]) -> String {
    let names: BTreeSet<_> = tests.iter().map(|test| test.record.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Returns how many CPUs a test needs.
#[must_use]
pub fn least_cpus(test: &str) -> u32 {
    rar_suite::test_named(test).map_or(1, |test| test.least_cpus)
}

/// Returns a run of just the tests that must notice: with broken flushes others may wait very long.
#[must_use]
pub fn run(cpus: u32, backend: Backend, tests: &[String]) -> Run {
    Run {
        tests: Tests::Named(tests.to_vec()),
        flushes: VOLUME,
        ..Run::new(backend, cpus)
    }
}

#[cfg(test)]
mod tests {
    use rar_harness::records::TestRecord;
    use rar_harness::verdict::RunVerdict;
    use rar_vocabulary::Disturbances;

    use super::*;
    use crate::catch::lines;

    fn report(tests: &[(&str, Outcome)], faults: &[&str]) -> Vec<JudgedRun> {
        let judged = |(name, outcome): &(&str, Outcome)| JudgedTest {
            record: TestRecord {
                name: (*name).to_owned(),
                question: None,
                backend: Backend::Software,
                cpus: 4,
                initiator: 0,
                flushes: 1,
                controls: Vec::new(),
                fallbacks: 0,
                resignals: 0,
                disturbances: Disturbances::NONE,
                outcome: *outcome,
                why: String::new(),
            },
            outcome: *outcome,
            why: format!("{name}: read 17, wanted 18"),
        };
        let verdict = RunVerdict {
            tests: tests.iter().map(judged).collect(),
            measurements: Vec::new(),
            faults: faults.iter().map(|fault| (*fault).to_owned()).collect(),
            died: false,
        };
        vec![JudgedRun {
            run: run(4, Backend::Software, &[]),
            verdict,
        }]
    }

    fn judge_one(changed: &[(&str, Outcome)], faults: &[&str]) -> Result<Vec<Catch>, String> {
        let honest = report(&[("a", Outcome::Pass), ("b", Outcome::Pass)], &[]);
        judge_words("wanted 18", &honest, &report(changed, faults))
    }

    fn judge_words(
        message: &str,
        honest: &[JudgedRun],
        changed: &[JudgedRun],
    ) -> Result<Vec<Catch>, String> {
        let messages = ["never said".to_owned(), message.to_owned()];
        judge(&["a".to_owned()], &messages, honest, changed)
    }

    #[test]
    fn caught_means_the_expected_test_failed() {
        let caught = judge_one(&[("a", Outcome::Fail), ("b", Outcome::Fail)], &[]).unwrap();
        assert_eq!(lines(&caught), "caught by: a\n    a: a: read 17, wanted 18");
    }

    #[test]
    fn anything_else_is_not_caught() {
        let fails = |changed: &[(&str, Outcome)], faults: &[&str], words: &str| {
            let why = judge_one(changed, faults).unwrap_err();
            assert!(why.contains(words), "{why}");
        };
        fails(
            &[("a", Outcome::Pass), ("b", Outcome::Pass)],
            &[],
            "every test passed",
        );
        fails(
            &[("a", Outcome::Pass), ("b", Outcome::Fail)],
            &[],
            "the expected test did not fail: a",
        );
        fails(
            &[("a", Outcome::Fail)],
            &["the guest hung"],
            "the guest hung",
        );
        fails(&[], &["no start record"], "no start record");
        let honest = report(&[("b", Outcome::Pass)], &[]);
        let changed = report(&[("a", Outcome::Fail)], &[]);
        let why = judge_words("wanted 18", &honest, &changed).unwrap_err();
        assert!(
            why.contains("did not run in the unchanged workspace"),
            "{why}"
        );
        let honest = report(&[("a", Outcome::Pass)], &[]);
        let why = judge_words("wanted 19", &honest, &changed).unwrap_err();
        assert!(
            why.contains("not with `never said` or `wanted 19`"),
            "{why}"
        );
    }
}
