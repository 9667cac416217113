//! Judges one run of a guest strictly: by its records and by how it ended.

mod counts;
mod responder;
#[cfg(test)]
mod tests;

use rar_suite::MEASUREMENTS;
use rar_vocabulary::{Measurement, Outcome};

use self::counts::{judge_counts, judge_measurements};
use self::responder::judge_responder;
use crate::ending::{Ending, FAILED, PANICKED, PASSED};
use crate::expectation::Expectation;
use crate::pass_checks::objection;
use crate::records::{Record, TestRecord, Transcript};

/// A test record with its verdict.
#[derive(Clone, Debug)]
pub struct JudgedTest {
    /// What the guest said.
    pub record: TestRecord,
    /// The verdict: never better than the guest's.
    pub outcome: Outcome,
    /// Why it failed or was skipped, or what was observed.
    pub why: String,
}

/// The verdict on a run.
#[derive(Clone, Debug)]
pub struct RunVerdict {
    /// Each test record.
    pub tests: Vec<JudgedTest>,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// What is wrong with the run as a whole.
    pub faults: Vec<String>,
    /// Did the guest hang, panic or die?
    pub died: bool,
}

impl RunVerdict {
    /// Returns whether nothing at all is wrong.
    pub fn passed(&self) -> bool {
        self.faults.is_empty() && self.count(Outcome::Fail) == 0
    }

    /// Returns how many records have that outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.tests
            .iter()
            .filter(|test| test.outcome == outcome)
            .count()
    }
}

/// Judges a run.
pub fn judge(expected: &Expectation, transcript: &Transcript, ending: Ending) -> RunVerdict {
    let tests: Vec<_> = transcript
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Test(test) => Some(judge_test(expected, test)),
            _ => None,
        })
        .collect();
    let measurements = transcript.records.iter().filter_map(|record| match record {
        Record::Measurement(measurement) => Some(*measurement),
        _ => None,
    });
    let mut verdict = RunVerdict {
        tests,
        measurements: measurements.collect(),
        faults: transcript.malformed.clone(),
        died: false,
    };
    judge_ending(transcript, ending, &mut verdict);
    // Records that a dead guest did not write are no news.
    if !verdict.died {
        judge_order(expected, transcript, &mut verdict);
        judge_counts(expected, transcript, &mut verdict);
        judge_measurements(expected, &mut verdict);
        let faults = judge_responder(expected, &transcript.lines);
        verdict.faults.extend(faults);
    }
    verdict
}

fn judge_test(expected: &Expectation, test: &TestRecord) -> JudgedTest {
    let (outcome, why) = match test.outcome {
        Outcome::Observed if test.why.is_empty() => (
            Outcome::Fail,
            "observed, but the guest does not say what".to_owned(),
        ),
        Outcome::Pass | Outcome::Observed => match objection(expected, test) {
            Some(why) => (Outcome::Fail, why),
            None => (test.outcome, test.why.clone()),
        },
        Outcome::Skipped if test.why.is_empty() => {
            (Outcome::Fail, "skipped without a reason".to_owned())
        }
        Outcome::Skipped if expected.required.contains(&test.name.as_str()) => (
            Outcome::Fail,
            format!("this machine must run it, and skipped it: {}", test.why),
        ),
        Outcome::Fail if test.why.is_empty() => {
            (Outcome::Fail, "the guest gave no reason".to_owned())
        }
        outcome => (outcome, test.why.clone()),
    };
    JudgedTest {
        record: test.clone(),
        outcome,
        why,
    }
}

fn judge_order(expected: &Expectation, transcript: &Transcript, verdict: &mut RunVerdict) {
    let starts: Vec<_> = transcript
        .records
        .iter()
        .filter_map(|record| {
            if let Record::Start(start) = record {
                Some(start)
            } else {
                None
            }
        })
        .collect();
    match starts.as_slice() {
        [] => verdict.faults.push("no start record".to_owned()),
        [start] => {
            if !matches!(transcript.records.first(), Some(Record::Start(_))) {
                verdict
                    .faults
                    .push("a record came before the start record".to_owned());
            }
            if start.backend != expected.backend {
                let fault = format!(
                    "backend is {}, asked for {}",
                    start.backend, expected.backend
                );
                verdict.faults.push(fault);
            }
            let listed = start.expected_cpus.unwrap_or(start.cpus);
            let wanted = u64::from(expected.cpus) + expected.missing.len() as u64;
            if start.cpus != expected.cpus
                || u64::from(listed) != wanted
                || start.missing != expected.missing
            {
                verdict.faults.push(format!(
                    "{} of {} CPUs run, the firmware listed {listed}, APIC ids missing: {:?}",
                    start.cpus, expected.cpus, start.missing
                ));
            }
        }
        more => verdict
            .faults
            .push(format!("{} start records: the guest restarted", more.len())),
    }
    let ends = transcript
        .records
        .iter()
        .filter(|record| matches!(record, Record::End(_)))
        .count();
    match ends {
        0 => verdict.faults.push("no end record".to_owned()),
        1 if matches!(transcript.records.last(), Some(Record::End(_))) => {}
        1 => verdict
            .faults
            .push("a record came after the end record".to_owned()),
        more => verdict.faults.push(format!("{more} end records")),
    }
    let asked = |name: &String| {
        let beside = expected.measures && name == MEASUREMENTS;
        expected.tests.is_empty() || expected.tests.contains(name) || beside
    };
    if let Some(other) = verdict.tests.iter().find(|test| !asked(&test.record.name)) {
        let fault = format!(
            "asked for {} alone, but {} ran",
            expected.tests.join(", "),
            other.record.name
        );
        verdict.faults.push(fault);
    }
    let tests = expected.tests.iter().map(String::as_str);
    let measures = expected.measures.then_some(MEASUREMENTS);
    for name in tests.chain(expected.list.iter().copied()).chain(measures) {
        if !verdict.tests.iter().any(|test| test.record.name == name) {
            verdict.faults.push(format!(
                "{name} was asked for, but there is no record of it"
            ));
        }
    }
}

fn judge_ending(transcript: &Transcript, ending: Ending, verdict: &mut RunVerdict) {
    let fault = match ending {
        Ending::Exited(PASSED) => None,
        // The failed records say the same and more; without one it is a fault of its own.
        Ending::Exited(FAILED) if verdict.count(Outcome::Fail) > 0 => None,
        Ending::Exited(FAILED) => {
            Some("the guest says that a test failed, but no record does".to_owned())
        }
        Ending::Exited(PANICKED) => {
            verdict.died = true;
            Some(format!(
                "the guest panicked while running {}",
                transcript.running()
            ))
        }
        Ending::Exited(code) => {
            verdict.died = true;
            Some(format!(
                "QEMU ended with exit code {code} ({PASSED} is a pass) while running {}",
                transcript.running()
            ))
        }
        Ending::Signalled(signal) => {
            verdict.died = true;
            Some(format!(
                "QEMU was killed by signal {signal} while running {}",
                transcript.running()
            ))
        }
        Ending::TimedOut(limit) => {
            verdict.died = true;
            Some(format!(
                "the guest hung: killed after {} s while running {}",
                limit.as_secs(),
                transcript.running()
            ))
        }
    };
    verdict.faults.extend(fault);
}
