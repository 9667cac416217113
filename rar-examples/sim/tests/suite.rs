//! The suite on simulated machines.

use std::collections::BTreeSet;

use rar_sim::defects::DriverDefect;
use rar_sim::machine::{Answering, MachineConfig};
use rar_sim::platform::{self, BY_NMI, Ended, SuiteRun, Transcript, Trouble};
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
        trouble: Trouble::NONE,
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
    let undisturbed = |test: &Ended| test.disturbances.is_none();
    assert!(transcript.tests.iter().all(undisturbed), "{transcript:#?}");
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
    let skipped = BTreeSet::from([BY_NMI]);
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
    let skipped = of_units.collect();
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
            trouble: Trouble {
                forgets,
                ..Trouble::NONE
            },
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

/// To leave a guest may drop what the host has cached: then no entry of the test shows anything.
#[test]
fn a_host_that_forgets_at_each_exit_shows_nothing() {
    let run = |exits_forget| {
        let run = SuiteRun {
            config: platform::config(2),
            defect: None,
            seed: 1,
            options: Options {
                test: Some("unit-guest-tag"),
                initiators: Some(1),
                measure: None,
                ..ALL
            },
            trouble: Trouble {
                exits_forget,
                ..Trouble::NONE
            },
            most_steps: 1_000_000,
            until_failure: false,
        };
        let mut transcript = run.run();
        assert_eq!(transcript.broken_off, None);
        (transcript.again, transcript.tests.remove(0))
    };
    assert_eq!(run(false).1.outcome, Outcome::Observed);
    let (again, test) = run(true);
    assert_eq!((again, test.outcome), (2, Outcome::Skipped));
    assert!(test.why.contains("control:"), "{}", test.why);
}

/// The target of a flush is not run for a while when the signal's interrupt comes.
fn paused(trouble: Trouble) -> (u32, Ended) {
    broken("one-page", None, trouble)
}

fn broken(test: &str, defect: Option<DriverDefect>, trouble: Trouble) -> (u32, Ended) {
    let run = SuiteRun {
        config: MachineConfig {
            backend: Answering::Software,
            ..platform::config(2)
        },
        defect,
        seed: 1,
        options: Options {
            test: Some(test),
            initiators: Some(1),
            measure: None,
            ..ALL
        },
        trouble,
        most_steps: 1_000_000,
        until_failure: false,
    };
    let mut transcript = run.run();
    assert_eq!(transcript.broken_off, None);
    assert_eq!(transcript.tests.len(), 1);
    (transcript.again, transcript.tests.remove(0))
}

/// Longer than the driver waits before it takes other means.
const LONG: u32 = 4_000;
/// Too short for that, and for a gap that counts.
const SHORT: u32 = 100;
/// Too short for that, and long enough to count.
const MIDDLE: u32 = 700;

#[test]
fn a_test_whose_target_lost_time_begins_again_and_then_did_not_run() {
    let pauses = |pauses, moments| {
        paused(Trouble {
            pauses,
            moments,
            ..Trouble::NONE
        })
    };
    for (count, again) in [(0, 0), (1, 1), (2, 2)] {
        let (seen, test) = pauses(count, LONG);
        assert_eq!((seen, test.outcome), (again, Outcome::Pass), "{test:?}");
        assert!(test.disturbances.is_none(), "{test:?}");
    }
    let (again, test) = pauses(3, LONG);
    assert_eq!((again, test.outcome), (2, Outcome::Skipped), "{test:?}");
    assert!(
        test.why.starts_with("disturbed by 1 gap of up to "),
        "{}",
        test.why
    );
    assert!(
        test.why.contains("other means than the signal"),
        "{}",
        test.why
    );
    assert_eq!(test.disturbances.gaps, 1);
}

/// The first attempt leaves a slot in quarantine: a unit does not answer by itself what it was
/// signalled while it was deaf.
#[test]
fn an_attempt_begins_without_the_slots_that_the_last_one_left_in_quarantine() {
    let run = SuiteRun {
        config: platform::config(2),
        defect: None,
        seed: 1,
        options: Options {
            test: Some("target-silent"),
            initiators: Some(1),
            measure: None,
            ..ALL
        },
        // The interrupts of both waits for the silent target.
        trouble: Trouble {
            pauses: 2,
            moments: 4 * LONG,
            loses_signals: true,
            ..Trouble::NONE
        },
        most_steps: 10_000_000,
        until_failure: false,
    };
    let transcript = run.run();
    assert_eq!(transcript.broken_off, None);
    assert_eq!(transcript.again, 1, "{transcript:?}");
    assert_eq!(transcript.tests[0].outcome, Outcome::Pass, "{transcript:?}");
}

#[test]
fn foreign_nmis_excuse_what_they_can_break_and_no_stale_use() {
    let nmis = |pauses| Trouble {
        pauses,
        moments: 1,
        nmis: true,
        ..Trouble::NONE
    };
    let (again, test) = paused(nmis(1));
    assert_eq!((again, test.outcome), (0, Outcome::Pass), "{test:?}");
    assert_eq!(test.disturbances.nmis, 1);
    let more = Some(DriverDefect::OnePageTooMany);
    for (count, again, outcome) in [
        (0, 0, Outcome::Fail),
        (1, 1, Outcome::Fail),
        (3, 2, Outcome::Skipped),
    ] {
        let (seen, test) = broken("neighbours-4", more, nmis(count));
        assert_eq!((seen, test.outcome), (again, outcome), "{test:?}");
    }
    let fewer = Some(DriverDefect::OnePageTooFew);
    let (again, test) = broken("neighbours-4", fewer, nmis(1));
    assert_eq!((again, test.outcome), (0, Outcome::Fail), "{test:?}");
}

#[test]
fn a_gap_that_breaks_nothing_is_only_counted() {
    for (moments, gaps) in [(SHORT, 0), (MIDDLE, 1)] {
        let (again, test) = paused(Trouble {
            pauses: 1,
            moments,
            ..Trouble::NONE
        });
        assert_eq!((again, test.outcome), (0, Outcome::Pass), "{test:?}");
        assert_eq!(test.disturbances.gaps, gaps, "{test:?}");
    }
}
