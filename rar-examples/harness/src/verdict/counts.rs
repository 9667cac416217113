//! Do the numbers of a run agree with each other?

use std::collections::BTreeMap;

use rar_suite::MEASUREMENTS;
use rar_vocabulary::Outcome;

use super::{JudgedTest, RunVerdict};
use crate::expectation::Expectation;
use crate::measurements;
use crate::pass_checks::runs_once;
use crate::records::{Record, Transcript};

/// Checks the records against the counts that were announced and those at the end.
pub(super) fn judge_counts(
    expected: &Expectation,
    transcript: &Transcript,
    verdict: &mut RunVerdict,
) {
    let mut initiators = BTreeMap::<_, Vec<_>>::new();
    for JudgedTest { record, .. } in &verdict.tests {
        let of_test = initiators.entry(record.name.as_str()).or_default();
        of_test.push(record.initiator);
    }
    let mut faults = Vec::new();
    for (name, ran) in &mut initiators {
        ran.sort_unstable();
        let rounds = if runs_once(name) {
            1
        } else {
            initiators_of(expected)
        };
        if !ran.iter().copied().eq(0..rounds) {
            faults.push(format!(
                "{name} has records for the initiators {ran:?}, not one for each of {rounds}"
            ));
        }
    }
    for record in &transcript.records {
        match record {
            Record::Start(start) => {
                let (said, asked) = (start.initiators, initiators_of(expected));
                if said.is_some_and(|said| said != asked) {
                    faults.push(format!(
                        "{} CPUs initiate each test, {asked} were asked for",
                        said.unwrap_or(0)
                    ));
                }
                if start.runs != verdict.tests.len() {
                    faults.push(format!(
                        "{} test records, {} were announced",
                        verdict.tests.len(),
                        start.runs
                    ));
                }
                if start.tests != initiators.len() {
                    faults.push(format!(
                        "{} tests, {} were announced",
                        initiators.len(),
                        start.tests
                    ));
                }
            }
            Record::End(end) => {
                let said = |outcome| {
                    verdict
                        .tests
                        .iter()
                        .filter(|test| test.record.outcome == outcome)
                        .count()
                };
                let counted = (
                    said(Outcome::Pass),
                    said(Outcome::Fail),
                    said(Outcome::Skipped),
                    said(Outcome::Observed),
                );
                if (end.passed, end.failed, end.skipped, end.observed) != counted {
                    faults.push(format!(
                        "the end record says {end:?}, the test records say {counted:?}"
                    ));
                }
            }
            Record::Begin(_)
            | Record::Retry(_)
            | Record::Measurement(_)
            | Record::Soak(_)
            | Record::Test(_)
            | Record::Progress(_) => {}
        }
    }
    if verdict
        .tests
        .iter()
        .all(|test| test.outcome == Outcome::Skipped)
    {
        faults.push("no test ran".to_owned());
    }
    verdict.faults.extend(faults);
}

/// Checks that there are measurements, local and remote, if they were asked for, and that the
/// numbers of each fit together. How large they are is not judged.
pub(super) fn judge_measurements(expected: &Expectation, verdict: &mut RunVerdict) {
    let Expectation { backend, cpus, .. } = expected;
    let faults = verdict.measurements.iter();
    let mut faults: Vec<_> = faults
        .filter_map(|each| measurements::fault(each, *backend, *cpus))
        .collect();
    let wanted = expected.measures || expected.tests.iter().any(|name| name == MEASUREMENTS);
    let has = |remote: bool| {
        let mut all = verdict.measurements.iter();
        all.any(|each| (each.targets > 0) == remote)
    };
    if wanted && !(has(false) && (*cpus == 1 || has(true))) {
        faults.push("measurements were asked for, and are not there".to_owned());
    }
    if !wanted && !verdict.measurements.is_empty() {
        faults.push("measurements were not asked for, but there are some".to_owned());
    }
    verdict.faults.extend(faults);
}

fn initiators_of(expected: &Expectation) -> u32 {
    let most = expected.initiators.unwrap_or(expected.cpus);
    most.clamp(1, expected.cpus.max(1))
}
