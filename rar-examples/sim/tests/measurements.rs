//! The measurements on simulated machines. The numbers are useless there, but the code is that of
//! every machine.

use rar_model::Knobs;
use rar_sim::defects::DriverDefect;
use rar_sim::machine::{Answering, MachineConfig};
use rar_sim::platform::{self, Ended, SuiteRun, Transcript, Trouble};
use rar_suite::{MEASUREMENTS, Measurement, Method, Options, Outcome, State};

const SAMPLES: u32 = 12;

fn run(config: MachineConfig, defect: Option<DriverDefect>, test: &str) -> Transcript {
    let run = SuiteRun {
        config,
        defect,
        seed: 1,
        options: Options {
            test: Some(test),
            measure: Some(SAMPLES),
            ..Options::ALL
        },
        trouble: Trouble::NONE,
        most_steps: 100_000_000,
        until_failure: false,
    };
    run.run()
}

#[track_caller]
fn the_test(transcript: &Transcript) -> &Ended {
    let test = transcript
        .tests
        .first()
        .filter(|_| transcript.tests.len() == 1);
    assert!(test.is_some(), "{transcript:?}");
    test.unwrap_or_else(|| unreachable!("asserted just now"))
}

fn measured(backend: Answering, cpus: u32) -> Vec<Measurement> {
    let config = MachineConfig {
        backend,
        ..platform::config(cpus)
    };
    let transcript = run(config, None, MEASUREMENTS);
    assert_eq!(transcript.broken_off, None);
    let test = the_test(&transcript);
    assert_eq!(test.outcome, Outcome::Observed, "{}", test.why);
    assert!(test.why.contains(" 0 spoiled"), "{}", test.why);
    transcript.measurements
}

fn count(measurements: &[Measurement], is: impl Fn(&Measurement) -> bool) -> usize {
    measurements.iter().filter(|each| is(each)).count()
}

#[test]
fn every_point_has_its_samples_in_order() {
    for (backend, cpus) in [
        (Answering::Units, 1),
        (Answering::Software, 1),
        (Answering::Units, 2),
        (Answering::Units, 5),
        (Answering::Software, 5),
    ] {
        let all = measured(backend, cpus);
        assert!(all.len() >= 8);
        for each in &all {
            let shared = SAMPLES / each.contenders * each.contenders;
            assert_eq!(each.samples, shared, "{each:?}");
            assert_eq!(each.histogram.samples(), u64::from(shared), "{each:?}");
            let values = [each.min, each.p50, each.p99, each.max];
            assert!(values.is_sorted(), "{each:?}");
            // A remote flush takes steps of more than one CPU, so the clock has moved.
            assert!(each.targets == 0 || each.max > 0, "{each:?}");
            assert_eq!((each.spoiled, each.cpus), (0, cpus), "{each:?}");
        }
    }
}

#[test]
fn each_method_is_measured_where_it_exists() {
    let (units, software) = (
        measured(Answering::Units, 4),
        measured(Answering::Software, 4),
    );
    let by = |all: &[Measurement], method| count(all, |each| each.method == method);
    assert_eq!((by(&units, Method::Ipi), by(&units, Method::Nmi)), (0, 0));
    assert_eq!(
        (by(&units, Method::Rar), by(&software, Method::Rar)),
        (29, 0)
    );
    assert_eq!(
        (by(&software, Method::Ipi), by(&software, Method::Nmi)),
        (23, 9)
    );
    for all in [&units, &software] {
        assert_eq!((by(all, Method::Clock), by(all, Method::Invlpg)), (1, 5));
        assert_eq!((by(all, Method::Full), by(all, Method::Cr3)), (1, 1));
        // The simulator has no hypervisor that an instruction could call.
        let bare = (by(all, Method::BareIpi), by(all, Method::BareExit));
        assert_eq!(bare, (6, 0));
        // All of the machine for one page, and in a storm.
        assert_eq!(count(all, |each| each.contenders == 4), 2);
    }
    let masked = |each: &Measurement| each.state == State::InterruptsOff;
    assert_eq!((count(&units, masked), count(&software, masked)), (6, 3));
}

#[test]
fn a_point_whose_control_was_not_seen_is_proved_again() {
    let with = |forgets| {
        let run = SuiteRun {
            config: platform::config(2),
            defect: None,
            seed: 1,
            options: Options {
                test: Some(MEASUREMENTS),
                measure: Some(1),
                ..Options::ALL
            },
            trouble: Trouble {
                forgets,
                ..Trouble::NONE
            },
            most_steps: 100_000_000,
            until_failure: false,
        };
        let transcript = run.run();
        assert_eq!(transcript.broken_off, None);
        (transcript.measurements.len(), the_test(&transcript).outcome)
    };
    let (all, outcome) = with(0);
    assert_eq!(outcome, Outcome::Observed);
    // The first proof maps 16 pages, which harms nothing, and then maps them to other frames.
    assert_eq!(with(20), (all, Outcome::Observed));
    assert_eq!(with(1_000), (0, Outcome::Skipped));
}

#[test]
fn nothing_is_measured_unless_it_is_asked_for() {
    let run = SuiteRun {
        config: platform::config(2),
        defect: None,
        seed: 1,
        options: Options {
            storm_flushes: 1,
            ..Options::ALL
        },
        trouble: Trouble::NONE,
        most_steps: 100_000_000,
        until_failure: false,
    };
    let transcript = run.run();
    assert!(transcript.measurements.is_empty());
    assert!(
        transcript
            .tests
            .iter()
            .all(|test| test.name != MEASUREMENTS)
    );
}

#[test]
fn a_measurement_beside_a_test_that_was_named() {
    let transcript = run(platform::config(2), None, "one-page");
    let names: Vec<_> = transcript
        .tests
        .iter()
        .map(|test| test.name.as_str())
        .collect();
    assert_eq!(names, ["one-page", "one-page", MEASUREMENTS]);
}

#[track_caller]
fn assert_refused(config: MachineConfig, defect: Option<DriverDefect>, why: &str) {
    let transcript = run(config, defect, MEASUREMENTS);
    let test = the_test(&transcript);
    assert_eq!(test.outcome, Outcome::Fail, "{}", test.why);
    assert!(test.why.starts_with(why), "{}", test.why);
}

fn with(change: fn(&mut Knobs)) -> MachineConfig {
    let mut knobs = Knobs::DEFAULT;
    change(&mut knobs);
    MachineConfig {
        knobs: vec![knobs],
        ..platform::config(3)
    }
}

/// A missing flush must not count as a fast one.
#[test]
fn what_does_not_flush_is_not_measured() {
    let stale = "no stale translation after the flush";
    assert_refused(platform::config(3), Some(DriverDefect::OwnTlbKept), stale);
    let lies = with(|knobs| knobs.faults.lie = u64::MAX);
    assert_refused(lies, None, stale);
}

/// A unit that never answers: the fallback flushes, and the numbers are marked as not the unit's.
#[test]
fn what_the_fallback_did_is_called_spoiled() {
    let without_nmis = MachineConfig {
        nmi: false,
        ..with(|knobs| knobs.faults.mute = u64::MAX)
    };
    let transcript = run(without_nmis, None, MEASUREMENTS);
    let remote: Vec<_> = transcript
        .measurements
        .iter()
        .filter(|each| each.targets > 0 && each.method.flushes())
        .collect();
    assert!(!remote.is_empty());
    for each in remote {
        // The first flushes use the fallback; the later ones find all slots in quarantine.
        assert!(each.spoiled >= u64::from(each.samples), "{each:?}");
    }
    // Without NMIs not even the fallback reaches targets with interrupts disabled.
    let why = &the_test(&transcript).why;
    assert!(why.starts_with("the flush ends with Ok"), "{why}");
}
