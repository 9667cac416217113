use std::time::Duration;

use super::*;
use crate::samples::{END, MEASUREMENT, START, TEST, expected, second, transcript};

fn verdict(lines: &[&str], ending: Ending) -> RunVerdict {
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
    assert!(faults(false, &[&local, MEASUREMENT]).starts_with("measurements were not asked for"));
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
    // Unless it is known to be missing.
    let known = Expectation {
        missing: vec![3],
        ..expected()
    };
    let listed = start.replace("\"expected_cpus\":2", "\"expected_cpus\":3");
    for (start, right) in [(&*listed, true), (&*start, false), (START, false)] {
        let lines = transcript(&[start, TEST, &second(), END]);
        assert_eq!(judge(&known, &lines, passed).passed(), right, "{start}");
    }
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
