//! The tests that observe: units that differ where no source decides are told apart by what the tests say of them.

use rar_model::{Acked, Knobs, Offence, Rebase, ScanOrder, Signals, Sleep};
use rar_sim::lab::{self, SuiteRun, Transcript};
use rar_sim::machine::Config;
use rar_suite::{Options, Outcome};

/// Runs a test on two CPUs with units of these knobs, with CPU 0 as initiator.
fn run(name: &str, knobs: &[Knobs]) -> Transcript {
    let run = SuiteRun {
        config: Config {
            knobs: knobs.to_vec(),
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
    run.run()
}

/// Returns what the test observed.
#[track_caller]
fn observe(name: &str, knobs: Knobs) -> String {
    let transcript = run(name, &[knobs]);
    assert_eq!(transcript.broken_off, None);
    assert_eq!(transcript.tests.len(), 1, "a test of this name");
    let whys = transcript.tests.into_iter().map(|test| {
        assert_eq!(test.outcome, Outcome::Observed, "{}", test.why);
        test.why
    });
    whys.collect()
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

#[test]
fn what_enumerates_a_unit() {
    let said = |types| {
        observe(
            "unit-enumeration",
            knobs(|knobs| knobs.reported_types = types),
        )
    };
    assert_eq!(
        said(0b111),
        "core capabilities 0x2; information 0x3f00000007"
    );
    assert_eq!(said(0), "core capabilities 0x2; information 0x3f00000000");
    // CPUs that differ never come as far as the test: the driver refuses them.
    let other = knobs(|knobs| knobs.reported_types = 0);
    let run = run("unit-enumeration", &[Knobs::DEFAULT, other]);
    let why = run.broken_off.unwrap_or_default();
    assert!(why.contains("0x3f00000000 on this CPU"), "{why}");
}

#[test]
fn reserved_bits_of_registers() {
    let bits = |answer| {
        let knobs = knobs(|knobs| knobs.msr_reserved_bits = answer);
        observe("unit-reserved-bits", knobs)
    };
    assert_eq!(
        bits(Offence::Fail),
        "control: #GP 0xffffffff3fffffff; vector: #GP 0xffffc0000000003f; table: #GP 0xffffc00000000fff"
    );
    assert_eq!(
        bits(Offence::Ignore),
        "control: ignored 0xffffffff3fffffff; vector: ignored 0xffffc0000000003f; table: ignored 0xffffc00000000fff"
    );
}

#[test]
fn bases_of_an_enabled_unit() {
    let rebase = |rebase| observe("unit-rebase", knobs(|knobs| knobs.rebase = rebase));
    assert_eq!(
        rebase(Rebase::Fault),
        "vector raises #GP while enabled; table raises #GP while enabled"
    );
    assert_eq!(
        rebase(Rebase::AtOnce),
        "vector may be written while enabled; table may be written while enabled"
    );
}

#[test]
fn values_of_a_byte() {
    let values = |acked| observe("unit-byte-values", knobs(|knobs| knobs.acked = acked));
    assert_eq!(values(Acked::Never), "bytes seen as 0x00 0x01");
    assert_eq!(
        values(Acked::WhileExecuting),
        "bytes seen as 0x00 0x01 0x02"
    );
}

#[test]
fn a_signal_that_waits_when_the_unit_is_disabled() {
    let disabled = |signals| {
        let knobs = knobs(|knobs| knobs.at_disable = signals);
        observe("unit-disabled-pending", knobs)
    };
    assert_eq!(
        disabled(Signals::Drop),
        "a waiting signal is dropped by ENABLE = 0"
    );
    assert_eq!(
        disabled(Signals::Hold),
        "a waiting signal outlives ENABLE = 0"
    );
}

#[test]
fn a_cpu_in_hlt() {
    let halted = |sleep| observe("unit-halt-woken", knobs(|knobs| knobs.halted = sleep));
    assert_eq!(halted(Sleep::Serve), "of 1 CPUs in HLT 1 served, 0 woken");
    assert_eq!(
        halted(Sleep::ServeAndWake),
        "of 1 CPUs in HLT 1 served, 1 woken"
    );
    assert_eq!(halted(Sleep::Hold), "of 1 CPUs in HLT 0 served, 0 woken");
}
