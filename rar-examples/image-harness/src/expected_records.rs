//! Compares the report of a boot of the image with the records of its serial line: both must report
//! the same tests.

use std::collections::{BTreeMap, BTreeSet};

use rar_harness::ending::{Ending, PASSED};
use rar_harness::records::{Record, TestRecord, Transcript};
use rar_harness::verdict::judge;
use rar_report::{Measurement as Latency, Outcome as Told, TestResult};
use rar_report_page::Report;
use rar_vocabulary::{Backend, Counts, Disturbances, Measurement, Outcome};

use crate::expected_report::ExpectedReport;

/// Judges the records of the serial line as strictly as those of the test kernel, and the report by
/// them; returns what they count.
///
/// # Errors
///
/// The records are not those of the runs that were expected, or the report says otherwise.
pub fn by_records(
    wanted: &ExpectedReport<'_>,
    report: &Report<'_>,
    transcript: &Transcript,
) -> Result<Counts, Vec<String>> {
    let sections = sections(transcript);
    if sections.len() != wanted.ran.len() {
        return Err(vec![format!(
            "{} backends have records, {} were to run",
            sections.len(),
            wanted.ran.len()
        )]);
    }
    let mut count = Counts::NONE;
    let mut wrong = Vec::new();
    for (section, expected) in sections.iter().zip(&wanted.ran) {
        // How the machine ends is judged elsewhere.
        let verdict = judge(expected, section, Ending::Exited(PASSED));
        let failed = verdict.tests.iter();
        let failed = failed.filter(|test| test.outcome == Outcome::Fail);
        let failed = failed.map(|test| format!("{}: {}", test.record.name, test.why));
        let faults = verdict.faults.iter().cloned().chain(failed);
        wrong.extend(faults.map(|fault| format!("records of {}: {fault}", expected.backend)));
        wrong.extend(differences(expected.backend, section, report));
        if !same_numbers(expected.backend, &verdict.measurements, report) {
            let backend = expected.backend;
            wrong.push(format!(
                "measurements on {backend}: report and records differ"
            ));
        }
        count += Counts {
            passed: verdict.count(Outcome::Pass),
            failed: 0,
            skipped: verdict.count(Outcome::Skipped),
            observed: verdict.count(Outcome::Observed),
        };
    }
    if wrong.is_empty() {
        Ok(count)
    } else {
        Err(wrong)
    }
}

/// Returns where the report's results and the records differ.
fn differences(backend: Backend, section: &Transcript, report: &Report<'_>) -> Vec<String> {
    let results = report.results.iter();
    let results: BTreeMap<_, _> = results
        .filter(|result| result.backend == backend)
        .map(|result| (result.name, result))
        .collect();
    let mut records: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in &section.records {
        if let Record::Test(test) = record {
            records.entry(test.name.as_str()).or_default().push(test);
        }
    }
    let names: BTreeSet<_> = results.keys().chain(records.keys()).copied().collect();
    let differ = |test: &&str| {
        let (result, records) = (results.get(test), records.get(test));
        !result
            .zip(records)
            .is_some_and(|(result, records)| same(result, records))
    };
    let differing = names.into_iter().filter(differ);
    differing
        .map(|test| format!("{test} on {backend}: report and records differ"))
        .collect()
}

/// Returns whether the report has the measurements of the records: all of them, in their order,
/// with their numbers. The report says the machine's CPUs and clock once for all.
fn same_numbers(backend: Backend, records: &[Measurement], report: &Report<'_>) -> bool {
    let told = report.measurements.iter();
    let told = told.filter(|each| each.backend == backend);
    let same = |(told, record): (&Latency<'_>, &Measurement)| {
        *told
            == Latency {
                backend: record.backend,
                method: record.method,
                targets: record.targets,
                pages: record.pages,
                state: record.state.name(),
                initiators: record.contenders,
                samples: u64::from(record.samples),
                min: record.min,
                p50: record.p50,
                p99: record.p99,
                max: record.max,
                histogram: record.histogram,
                spoiled: record.spoiled,
                disturbances: record.disturbances,
            }
    };
    told.clone().count() == records.len() && told.zip(records).all(same)
}

/// Returns whether a result says what the records of all its initiators say together: the worst
/// counts.
fn same(result: &TestResult<'_>, records: &[&TestRecord]) -> bool {
    let by_badness = [
        Outcome::Fail,
        Outcome::Observed,
        Outcome::Pass,
        Outcome::Skipped,
    ];
    let worst = by_badness
        .iter()
        .find_map(|outcome| records.iter().find(|record| record.outcome == *outcome));
    let Some(worst) = worst else {
        return false;
    };
    let (outcome, why) = match result.outcome {
        Told::Holds => (Outcome::Pass, ""),
        Told::Violated { why, .. } => (Outcome::Fail, why),
        Told::Observed(what) => (Outcome::Observed, what),
        Told::NotRun(why) => (Outcome::Skipped, why),
    };
    let ran = records
        .iter()
        .filter(|record| record.outcome != Outcome::Skipped);
    // The kernel cuts long reasons.
    worst.outcome == outcome
        && (worst.why.starts_with(why) && why.is_empty() == worst.why.is_empty())
        && usize::try_from(result.initiators).is_ok_and(|count| count == ran.count())
        && result.fallbacks == records.iter().map(|record| record.fallbacks).sum::<u64>()
        && result.resignals == records.iter().map(|record| record.resignals).sum::<u64>()
        && result.disturbances == all_disturbances(records)
}

fn all_disturbances(records: &[&TestRecord]) -> Disturbances {
    let mut all = Disturbances::NONE;
    records.iter().for_each(|record| all += record.disturbances);
    all
}

/// Returns a transcript for each backend: its start record and what follows.
fn sections(whole: &Transcript) -> Vec<Transcript> {
    let mut sections: Vec<Transcript> = Vec::new();
    for record in &whole.records {
        if matches!(record, Record::Start(_)) || sections.is_empty() {
            sections.push(Transcript::default());
        }
        if let Some(last) = sections.last_mut() {
            last.records.push(record.clone());
        }
    }
    // What the guest says beside its records names its backend itself.
    for section in &mut sections {
        section.lines.clone_from(&whole.lines);
    }
    // A malformed record belongs to no section: it counts in the first.
    if let Some(first) = sections.first_mut() {
        first.malformed.clone_from(&whole.malformed);
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected_report::tests::transcript;

    #[test]
    fn a_result_is_what_all_records_say_together() {
        let record = |initiator, outcome, why: &str| TestRecord {
            name: "storm".to_owned(),
            question: None,
            backend: Backend::Software,
            cpus: 2,
            initiator,
            flushes: 1,
            controls: Vec::new(),
            fallbacks: 1,
            resignals: 2,
            disturbances: Disturbances {
                nmis: 1,
                ..Disturbances::NONE
            },
            outcome,
            why: why.to_owned(),
        };
        let told = |outcome, initiators| TestResult {
            backend: Backend::Software,
            name: "storm",
            outcome,
            initiators,
            fallbacks: 2,
            resignals: 4,
            disturbances: Disturbances {
                nmis: 2,
                ..Disturbances::NONE
            },
        };
        let (pass, seen) = (
            record(0, Outcome::Pass, ""),
            record(1, Outcome::Observed, "upwards, then down"),
        );
        let both = [&pass, &seen];
        assert!(same(&told(Told::Observed("upwards"), 2), &both));
        assert!(!same(&told(Told::Observed("downwards"), 2), &both));
        assert!(!same(&told(Told::Observed(""), 2), &both));
        assert!(!same(&told(Told::Observed("upwards"), 1), &both));
        assert!(!same(&told(Told::Holds, 2), &both));
        assert!(!same(&told(Told::Holds, 2), &[]));
        let fewer = TestResult {
            fallbacks: 1,
            ..told(Told::Observed("upwards"), 2)
        };
        assert!(!same(&fewer, &both));
        let undisturbed = TestResult {
            disturbances: Disturbances::NONE,
            ..told(Told::Observed("upwards"), 2)
        };
        assert!(!same(&undisturbed, &both));
    }

    #[test]
    fn every_number_of_a_measurement_is_compared() {
        use rar_harness::samples::measurement;
        use rar_report::{Histogram, Method};
        let mut histogram = Histogram::new();
        [8, 9, 10]
            .iter()
            .for_each(|bucket| histogram.add(*bucket, 1));
        let right = Latency {
            backend: Backend::Software,
            method: Method::Ipi,
            targets: 1,
            pages: 0,
            state: "spinning",
            initiators: 1,
            samples: 3,
            min: 300,
            p50: 700,
            p99: 1100,
            max: 1100,
            histogram,
            spoiled: 0,
            disturbances: Disturbances::NONE,
        };
        let same = |told: &[Latency<'static>]| {
            let report = Report {
                measurements: told.to_vec(),
                ..Report::default()
            };
            same_numbers(Backend::Software, &[measurement()], &report)
        };
        let vrar = Latency {
            backend: Backend::Vrar,
            ..right
        };
        assert!(same(&[right]) && same(&[vrar, right]));
        assert!(!same(&[]) && !same(&[vrar]) && !same(&[right, right]));
        histogram.add(10, 1);
        let wrong: [fn(&mut Latency<'static>); 11] = [
            |each| each.method = Method::Nmi,
            |each| each.targets = 2,
            |each| each.pages = 1,
            |each| each.state = "halted",
            |each| each.initiators = 2,
            |each| each.samples = 4,
            |each| each.min = 301,
            |each| each.p50 = 701,
            |each| each.p99 = 1099,
            |each| each.spoiled = 1,
            |each| each.disturbances.gaps = 1,
        ];
        for change in wrong {
            let mut told = right;
            change(&mut told);
            assert!(!same(&[told]), "{told:?}");
        }
        assert!(!same(&[Latency { histogram, ..right }]));
    }

    #[test]
    fn each_backend_is_a_section() {
        use rar_harness::samples::{START, TEST};
        const END: &str = r#"@ {"type":"end","passed":1,"failed":0,"skipped":0}"#;
        let lines = [START, TEST, END, START, TEST].map(str::to_owned);
        let lengths: Vec<_> = sections(&transcript(&lines))
            .iter()
            .map(|section| section.records.len())
            .collect();
        assert_eq!(lengths, [3, 2]);
    }
}
