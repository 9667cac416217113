//! The tests that observe: units that differ where no source decides are told apart by what the tests say of them.

use rar_model::{Knobs, ScanOrder};
use rar_sim::lab::{self, SuiteRun};
use rar_sim::machine::Config;
use rar_suite::{Options, Outcome};

/// Runs a test on two CPUs with units of these knobs, and returns what it observed with CPU 0 as initiator.
#[track_caller]
fn observe(name: &str, knobs: Knobs) -> String {
    let run = SuiteRun {
        config: Config {
            knobs: vec![knobs],
            ..lab::config(2)
        },
        defect: None,
        seed: 1,
        options: Options {
            test: Some(name),
            initiators: Some(1),
            risky: true,
            ..Options::ALL
        },
        most_steps: 20_000_000,
        until_failure: false,
    };
    let transcript = run.run();
    assert_eq!(transcript.broken_off, None);
    let test = transcript.tests.first().expect("a test of this name");
    assert_eq!(test.outcome, Outcome::Observed, "{}", test.why);
    test.why.clone()
}

fn knobs(change: impl FnOnce(&mut Knobs)) -> Knobs {
    let mut knobs = Knobs::DEFAULT;
    change(&mut knobs);
    knobs
}

#[test]
fn the_order_of_a_scan() {
    let order = |order| observe("unit-scan-order", knobs(|knobs| knobs.order = order));
    assert_eq!(order(ScanOrder::Ascending), "slots become final upwards");
    assert_eq!(order(ScanOrder::Descending), "slots become final downwards");
    let wrapped = order(ScanOrder::From(40));
    assert_eq!(wrapped, "slots become final upwards from slot 40");
}
