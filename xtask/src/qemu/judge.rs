//! Judges one run of a guest: what it said and how it ended, strictly.

use crate::qemu::doubt::{doubt, runs_once};
use crate::qemu::measurements;
use crate::qemu::records::{Record, TestRecord, Transcript};
use rar_suite::MEASUREMENTS;
use rar_vocabulary::{Backend, Measurement, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

/// QEMU's exit code when the guest wrote 0x10: every test passed.
pub(crate) const PASSED: i32 = 33;
/// The guest wrote 0x11: some test failed.
const FAILED: i32 = 35;
/// The guest wrote 0x12: a panic.
pub(crate) const PANICKED: i32 = 37;

/// How QEMU ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with that exit code.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
    /// It was killed at its deadline.
    TimedOut(Duration),
}

impl Ending {
    /// Returns how a guest ends that has come to its end, by whether a test failed.
    pub(crate) fn of_a_guest(failed: bool) -> Self {
        Self::Exited(if failed { FAILED } else { PASSED })
    }
}

/// What a run was asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    /// The backend asked for.
    pub(crate) backend: Backend,
    /// CPUs of the machine.
    pub(crate) cpus: u32,
    /// The tests asked for; all of a list if empty.
    pub(crate) tests: Vec<String>,
    /// The tests of the list asked for; none if tests were asked for by name.
    pub(crate) list: Vec<&'static str>,
    /// The tests that this machine has no reason to skip.
    pub(crate) required: Vec<&'static str>,
    /// Flushes per CPU in the storm.
    pub(crate) flushes: u32,
    /// How many CPUs initiate each test at most, if not all.
    pub(crate) initiators: Option<u32>,
    /// Flushes of each kind are measured.
    pub(crate) measures: bool,
}

/// A test record with its verdict.
#[derive(Clone, Debug)]
pub(crate) struct JudgedTest {
    /// What the guest said.
    pub(crate) record: TestRecord,
    /// The verdict: never better than the guest's.
    pub(crate) outcome: Outcome,
    /// Why it failed or was skipped, or what was observed.
    pub(crate) why: String,
}

/// The verdict on a run.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Each test record.
    pub(crate) tests: Vec<JudgedTest>,
    /// What was measured.
    pub(crate) measurements: Vec<Measurement>,
    /// What is wrong with the run as a whole.
    pub(crate) faults: Vec<String>,
    /// Did the guest hang, panic or die?
    pub(crate) died: bool,
}

impl Verdict {
    /// Returns whether nothing at all is wrong.
    pub(crate) fn passed(&self) -> bool {
        self.faults.is_empty() && self.count(Outcome::Fail) == 0
    }

    /// Returns how many records have that outcome.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.tests
            .iter()
            .filter(|test| test.outcome == outcome)
            .count()
    }
}

/// Judges a run.
pub(crate) fn judge(expected: &Expectation, transcript: &Transcript, ending: Ending) -> Verdict {
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
    let mut verdict = Verdict {
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
    }
    verdict
}

fn judge_test(expected: &Expectation, test: &TestRecord) -> JudgedTest {
    let (outcome, why) = match test.outcome {
        Outcome::Observed if test.why.is_empty() => (
            Outcome::Fail,
            "observed, but the guest does not say what".to_owned(),
        ),
        Outcome::Pass | Outcome::Observed => match doubt(expected, test) {
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

fn judge_order(expected: &Expectation, transcript: &Transcript, verdict: &mut Verdict) {
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
            if start.cpus != expected.cpus || listed != expected.cpus || !start.missing.is_empty() {
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

fn judge_counts(expected: &Expectation, transcript: &Transcript, verdict: &mut Verdict) {
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

/// Times are no matter of right and wrong, but there are some, of the CPUs to themselves and of each other, and their numbers fit together.
fn judge_measurements(expected: &Expectation, verdict: &mut Verdict) {
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
        faults.push("nobody asked for measurements, but there are some".to_owned());
    }
    verdict.faults.extend(faults);
}

fn initiators_of(expected: &Expectation) -> u32 {
    let most = expected.initiators.unwrap_or(expected.cpus);
    most.clamp(1, expected.cpus.max(1))
}

fn judge_ending(transcript: &Transcript, ending: Ending, verdict: &mut Verdict) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::measurements::tests::MEASUREMENT;
    use crate::qemu::records::tests::{START, TEST, complete, second};
    use rar_suite::TESTS;

    const END: &str = r#"@ {"type":"end","passed":2,"failed":0,"skipped":0}"#;

    fn expected() -> Expectation {
        Expectation {
            backend: Backend::Software,
            cpus: 2,
            tests: Vec::new(),
            required: Vec::new(),
            list: vec!["one-page"],
            flushes: 3,
            initiators: None,
            measures: false,
        }
    }

    fn transcript(lines: &[&str]) -> Transcript {
        let mut transcript = Transcript::default();
        for line in lines {
            transcript.push(complete(line));
        }
        transcript
    }

    fn verdict(lines: &[&str], ending: Ending) -> Verdict {
        judge(&expected(), &transcript(lines), ending)
    }

    #[track_caller]
    fn assert_fault(lines: &[&str], ending: Ending, words: &str) {
        let verdict = verdict(lines, ending);
        assert!(!verdict.passed());
        assert!(
            verdict.faults.iter().any(|fault| fault.contains(words)),
            "{:?}",
            verdict.faults
        );
    }

    #[test]
    fn an_honest_run_passes() {
        let verdict = verdict(
            &["boot", START, TEST, &second(), END],
            Ending::Exited(PASSED),
        );
        assert!(verdict.passed(), "{:?}", verdict.faults);
        assert_eq!(verdict.count(Outcome::Pass), 2);
        assert!(!verdict.died);
    }

    #[test]
    fn only_one_exit_code_passes() {
        for code in [0, 1, 16, 32, 34, 35, 37] {
            let verdict = verdict(&[START, TEST, &second(), END], Ending::Exited(code));
            assert!(!verdict.passed(), "exit code {code}");
        }
        let lines = [START, TEST, &second(), END];
        assert_fault(&lines, Ending::Signalled(11), "signal 11");
        assert_fault(
            &lines,
            Ending::TimedOut(Duration::from_secs(9)),
            "after 9 s",
        );
        assert!(verdict(&lines, Ending::Exited(37)).died);
        assert!(!verdict(&lines, Ending::Exited(35)).died);
    }

    #[test]
    fn measurements_are_there_if_and_only_if_they_were_asked_for() {
        let local = MEASUREMENT.replace(r#""targets":1"#, r#""targets":0"#);
        let second = second();
        let lines = |measured: &[&str]| {
            let records = [START, TEST, &second].into_iter();
            let records = records.chain(measured.iter().copied()).chain([END]);
            transcript(&records.collect::<Vec<_>>())
        };
        let faults = |measures: bool, measured: &[&str]| {
            let mut expected = expected();
            expected.measures = measures;
            let verdict = judge(&expected, &lines(measured), Ending::Exited(PASSED));
            let mut faults = verdict.faults;
            // There is no record of the test around them here.
            faults.retain(|fault| !fault.starts_with(MEASUREMENTS) || !fault.contains("record"));
            faults.join("; ")
        };
        assert_eq!(faults(true, &[&local, MEASUREMENT]), "");
        assert_eq!(faults(false, &[]), "");
        let missing = "measurements were asked for, and are not there";
        for measured in [&[][..], &[local.as_str()], &[MEASUREMENT]] {
            assert_eq!(faults(true, measured), missing);
        }
        assert!(faults(false, &[&local, MEASUREMENT]).starts_with("nobody asked"));
        let wrong = MEASUREMENT.replace(r#""max":1100"#, r#""max":1000"#);
        assert!(faults(true, &[&local, &wrong]).contains("not in order"));
    }

    #[test]
    fn missing_records_fail() {
        let passed = Ending::Exited(PASSED);
        assert_fault(&[], passed, "no start record");
        assert_fault(&[TEST, &second(), END], passed, "no start record");
        assert_fault(&[START, TEST, &second()], passed, "no end record");
        assert_fault(
            &[START, TEST, END],
            passed,
            "1 test records, 2 were announced",
        );
        assert_fault(&[START, TEST, &second(), END, END], passed, "2 end records");
        assert_fault(
            &[START, TEST, END, &second()],
            passed,
            "after the end record",
        );
        assert_fault(
            &[START, TEST, START, TEST, &second(), END],
            passed,
            "restarted",
        );
        assert_fault(
            &[START, TEST, TEST, END],
            passed,
            "one-page has records for the initiators [0, 0]",
        );
        assert_fault(
            &[TEST, START, &second(), END],
            passed,
            "before the start record",
        );
    }

    #[test]
    fn a_malformed_record_fails() {
        let cut = TEST.get(..50).unwrap();
        assert_fault(
            &[START, TEST, &second(), cut, END],
            Ending::Exited(PASSED),
            "malformed",
        );
    }

    #[test]
    fn a_pass_without_control_is_not_believed() {
        let none = second().replace(r#"[{"cpu":0,"stale":17,"new":18}]"#, "[]");
        let unseen = second().replace("\"stale\":17", "\"stale\":18");
        for (line, words) in [(none, "no control"), (unseen, "control not seen: CPU 0")] {
            let verdict = verdict(&[START, TEST, &line, END], Ending::Exited(PASSED));
            assert!(!verdict.passed());
            let failed = verdict
                .tests
                .iter()
                .find(|test| test.outcome == Outcome::Fail)
                .unwrap();
            assert!(failed.why.contains(words), "{}", failed.why);
            assert_eq!(verdict.count(Outcome::Fail), 1);
        }
    }

    #[track_caller]
    fn assert_doubt(line: &str, words: &str) {
        let Some(Record::Test(test)) = transcript(&[line]).records.pop() else {
            panic!()
        };
        let why = doubt(&expected(), &test).unwrap_or_default();
        assert!(
            why.contains(words) && why.is_empty() == words.is_empty(),
            "{why}"
        );
    }

    #[test]
    fn an_observation_is_neither_pass_nor_failure_nor_skip() {
        let observed = |line: &str, why: &str| {
            line.replace("\"pass\"", "\"observed\"")
                .replace("\"why\":\"\"", &format!("\"why\":\"{why}\""))
        };
        let end = r#"@ {"type":"end","passed":1,"failed":0,"skipped":0,"observed":1}"#;
        let passed = Ending::Exited(PASSED);
        let line = observed(&second(), "scan upwards");
        let verdict = verdict(&[START, TEST, &line, end], passed);
        assert!(verdict.passed(), "{:?}", verdict.faults);
        assert_eq!(verdict.count(Outcome::Pass), 1);
        assert_eq!(verdict.count(Outcome::Observed), 1);
        assert_eq!(verdict.count(Outcome::Skipped), 0);
        assert_fault(&[START, TEST, &line, END], passed, "the end record says");
        // It is doubted as a pass is.
        let silent = observed(&second(), "");
        let uncontrolled = line.replace("\"stale\":17", "\"stale\":18");
        for doubtful in [silent, uncontrolled] {
            let verdict = judge(
                &expected(),
                &transcript(&[START, TEST, &doubtful, end]),
                passed,
            );
            assert_eq!(verdict.count(Outcome::Fail), 1, "{doubtful}");
        }
    }

    #[test]
    fn fewer_initiators_run_only_where_asked_for() {
        let start = START
            .replace("\"runs\":2", "\"runs\":1")
            .replace("\"tests\":1", "\"tests\":1,\"initiators\":1");
        let end = END.replace('2', "1");
        let lines = transcript(&[&start, TEST, &end]);
        let passed = Ending::Exited(PASSED);
        let asked = Expectation {
            initiators: Some(1),
            ..expected()
        };
        let faults = judge(&asked, &lines, passed).faults;
        assert!(faults.is_empty(), "{faults:?}");
        let faults = judge(&expected(), &lines, passed).faults;
        assert_eq!(faults.len(), 2, "{faults:?}");
    }

    #[test]
    fn a_pass_without_flushes_is_not_believed() {
        assert_doubt(TEST, "");
        assert_doubt(&TEST.replace("\"flushes\":1", "\"flushes\":0"), "0 flushes");
    }

    #[test]
    fn the_storm_has_its_volume_and_each_control() {
        let storm = |flushes: &str, controls: &str| {
            let flushes = format!("\"flushes\":{flushes}");
            TEST.replace("one-page", "storm")
                .replace("\"flushes\":1", &flushes)
                .replace("\"controls\":[", &format!("\"controls\":[{controls}"))
        };
        let own = r#"{"cpu":0,"stale":1,"new":2},"#;
        assert_doubt(&storm("6", own), "");
        assert_doubt(&storm("5", own), "5 flushes, it must make 6");
        assert_doubt(&storm("6", ""), "no control: CPU 0");
    }

    #[test]
    fn help_for_the_signal_is_believed_only_where_it_is_tested() {
        for field in ["fallbacks", "resignals"] {
            let helped = TEST.replace(&format!("\"{field}\":0"), &format!("\"{field}\":1"));
            assert_doubt(
                &helped,
                &format!(
                    "1 {}",
                    if field == "fallbacks" {
                        field
                    } else {
                        "second signals"
                    }
                ),
            );
            let falls_back = TESTS.iter().filter(|test| test.falls_back);
            for name in falls_back.map(|test| test.name) {
                assert_doubt(&helped.replace("one-page", name), "");
            }
        }
    }

    #[test]
    fn a_list_lacks_no_test_and_no_initiator() {
        let longer = Expectation {
            list: vec!["one-page", "storm"],
            ..expected()
        };
        let passed = Ending::Exited(PASSED);
        let run = judge(&longer, &transcript(&[START, TEST, &second(), END]), passed);
        assert_eq!(
            run.faults,
            ["storm was asked for, but there is no record of it"]
        );
        let start = START.replace("\"runs\":2", "\"runs\":1");
        let end = END.replace('2', "1");
        assert_fault(
            &[&start, &second(), &end],
            passed,
            "one-page has records for the initiators [1], not one for each of 2",
        );
    }

    #[test]
    fn the_wrong_machine_fails() {
        let passed = Ending::Exited(PASSED);
        let start = START.replace("\"missing\":[]", "\"missing\":[3]");
        assert_fault(&[&start, TEST, &second(), END], passed, "missing: [3]");
        let start = START.replace("\"backend\":\"software\"", "\"backend\":\"hardware\"");
        assert_fault(
            &[&start, TEST, &second(), END],
            passed,
            "asked for software",
        );
        let fewer = TEST.replace("\"cpus\":2", "\"cpus\":1");
        assert!(!verdict(&[START, &fewer, &second(), END], passed).passed());
        let one = Expectation {
            tests: vec!["storm".to_owned()],
            ..expected()
        };
        let verdict = judge(&one, &transcript(&[START, TEST, &second(), END]), passed);
        assert!(
            verdict.faults.iter().any(|fault| fault.contains("storm")),
            "{:?}",
            verdict.faults
        );
    }

    #[test]
    fn the_guests_own_count_must_agree() {
        let end = END.replace("\"passed\":2", "\"passed\":1");
        assert_fault(
            &[START, TEST, &second(), &end],
            Ending::Exited(PASSED),
            "the end record says",
        );
    }

    #[test]
    fn a_failed_record_fails_whatever_the_exit_code() {
        let fail = second()
            .replace("\"pass\"", "\"fail\"")
            .replace("\"why\":\"\"", "\"why\":\"read 17, wanted 18\"");
        let end = r#"@ {"type":"end","passed":1,"failed":1,"skipped":0}"#;
        for code in [PASSED, FAILED] {
            let verdict = verdict(&[START, TEST, &fail, end], Ending::Exited(code));
            assert!(!verdict.passed());
            assert!(verdict.faults.is_empty(), "{:?}", verdict.faults);
        }
    }

    #[test]
    fn what_the_machine_can_do_is_not_skipped() {
        let skipped = TEST
            .replace("\"pass\"", "\"skipped\"")
            .replace("\"why\":\"\"", "\"why\":\"no units\"");
        let outcome = |required: &[&'static str]| {
            let expected = Expectation {
                required: required.to_vec(),
                ..expected()
            };
            let lines = transcript(&[START, &skipped, &second(), END]);
            let tests = judge(&expected, &lines, Ending::Exited(PASSED)).tests;
            tests.first().unwrap().outcome
        };
        assert_eq!(outcome(&[]), Outcome::Skipped);
        assert_eq!(outcome(&["one-page"]), Outcome::Fail);
    }

    #[test]
    fn a_run_that_skips_everything_proves_nothing() {
        let skip = |line: &str| {
            line.replace("\"pass\"", "\"skipped\"")
                .replace("\"why\":\"\"", "\"why\":\"needs 3 CPUs\"")
        };
        let end = r#"@ {"type":"end","passed":0,"failed":0,"skipped":2}"#;
        assert_fault(
            &[START, &skip(TEST), &skip(&second()), end],
            Ending::Exited(PASSED),
            "no test ran",
        );
    }
}
