//! The suite on simulated machines.

use std::collections::BTreeSet;

use rar_sim::machine::{Answering, MachineConfig};
use rar_sim::platform::{self, BEYOND, BY_NMI, SuiteRun, Transcript};
use rar_suite::{Options, Outcome, TESTS};

const ALL: Options<'_> = Options {
    storm_flushes: 20,
    // Risky tests cannot harm the simulator.
    risky: true,
    measure: Some(5),
    ..Options::ALL
};

fn run(config: MachineConfig) -> Transcript {
    let run = SuiteRun {
        config,
        defect: None,
        seed: 1,
        options: ALL,
        forgets: 0,
        most_steps: 1_000_000_000,
        until_failure: false,
    };
    let transcript = run.run();
    assert_eq!(transcript.broken_off, None);
    let failures: Vec<_> = transcript
        .tests
        .iter()
        .filter(|test| test.outcome == Outcome::Fail)
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
    // The simulated TLB has room for all pages: only a driver that flushes unasked can hide a
    // control.
    assert_eq!(transcript.again, 0, "a control was not seen");
    transcript
}

fn names(transcript: &Transcript, outcome: Outcome) -> BTreeSet<&str> {
    let tests = transcript.tests.iter();
    tests
        .filter(|test| test.outcome == outcome)
        .map(|test| test.name.as_str())
        .collect()
}

#[test]
fn hardware_passes_every_test() {
    let transcript = run(platform::config(4));
    let all: BTreeSet<_> = TESTS.iter().map(|test| test.name).collect();
    let observed = names(&transcript, Outcome::Observed);
    let passed = names(&transcript, Outcome::Pass);
    let skipped = BTreeSet::from([BEYOND, BY_NMI]);
    assert_eq!(names(&transcript, Outcome::Skipped), skipped);
    assert_eq!(&(&passed | &observed) | &skipped, all);
    // No test passes for one initiator and is observed for another.
    assert!(passed.is_disjoint(&observed), "{passed:?} {observed:?}");
    assert!(observed.contains("unit-scan-order"));
}

#[test]
fn software_skips_the_tests_of_units() {
    let transcript = run(MachineConfig {
        backend: Answering::Software,
        ..platform::config(4)
    });
    let of_units = TESTS.iter().filter(|test| test.units.is_some());
    let of_units = of_units.map(|test| test.name);
    let skipped = of_units.chain([BEYOND]).collect();
    assert_eq!(names(&transcript, Outcome::Skipped), skipped);
}

#[test]
fn a_run_repeats_itself() {
    let repeat = || run(platform::config(2)).tests;
    assert_eq!(repeat(), repeat());
}

#[test]
fn a_control_that_is_not_seen_is_looked_for_again_and_then_nothing_was_shown() {
    let run = |forgets| {
        let run = SuiteRun {
            config: platform::config(1),
            defect: None,
            seed: 1,
            options: Options {
                test: Some("one-page"),
                measure: None,
                ..ALL
            },
            forgets,
            most_steps: 1_000_000,
            until_failure: false,
        };
        let transcript = run.run();
        assert_eq!(transcript.tests.len(), 1);
        (transcript.again, transcript.tests[0].clone())
    };
    // An attempt changes the entry twice: to map the page, and to remap it.
    for (forgets, again) in [(0, 0), (2, 1), (4, 2)] {
        let (seen, test) = run(forgets);
        assert_eq!((seen, test.outcome), (again, Outcome::Pass), "{test:?}");
    }
    let (again, test) = run(6);
    assert_eq!((again, test.outcome), (2, Outcome::Skipped));
    assert!(test.why.contains("control:"), "{}", test.why);
}
