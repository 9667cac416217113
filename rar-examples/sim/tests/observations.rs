//! The tests that observe: their observations distinguish units that differ where no source
//! decides.

use rar_model::{
    Acked, Cr3Mismatch, Defect, Knobs, Offence, Rebase, Scan, ScanOrder, Signals, Sleep, ZeroPages,
};
use rar_sim::machine::{MachineConfig, OddCommands};
use rar_sim::platform::{self, SuiteRun, Transcript, Trouble};
use rar_suite::{Options, Outcome};

/// Runs a test on two CPUs with units of these knobs, with CPU 0 as initiator.
fn run(name: &str, knobs: &[Knobs]) -> Transcript {
    let config = MachineConfig {
        knobs: knobs.to_vec(),
        ..platform::config(2)
    };
    run_on(name, config)
}

fn run_on(name: &str, config: MachineConfig) -> Transcript {
    let run = SuiteRun {
        config,
        defect: None,
        seed: 1,
        options: Options {
            test: Some(name),
            initiators: Some(1),
            risky: true,
            ..Options::ALL
        },
        trouble: Trouble::NONE,
        most_steps: 20_000_000,
        until_failure: false,
    };
    run.run()
}

/// Returns what the test observed.
#[track_caller]
fn observe(name: &str, knobs: Knobs) -> String {
    observation(run(name, &[knobs]))
}

#[track_caller]
fn observation(transcript: Transcript) -> String {
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
    // CPUs that differ never reach the test: the driver refuses them.
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
        "control: #GP 0xffffffff3fffffff; vector: #GP 0xffffc0000000003f; table: #GP \
         0xffffc00000000fff"
    );
    assert_eq!(
        bits(Offence::Ignore),
        "control: ignored 0xffffffff3fffffff; vector: ignored 0xffffc0000000003f; table: ignored \
         0xffffc00000000fff"
    );
}

/// Returns the outcome of a test that passes with the default knobs and only observes others.
#[track_caller]
fn only_observed(name: &str, defect: Defect) -> String {
    let right = run(name, &[Knobs::DEFAULT]).tests;
    let held = right.iter().filter(|test| test.outcome == Outcome::Pass);
    assert_eq!((held.count(), right.len()), (1, 1), "{right:?}");
    observe(name, knobs(|knobs| defect.apply(knobs)))
}

#[test]
fn what_no_source_calls_wrong_does_not_fail() {
    assert_eq!(
        only_observed("unit-control-bits", Defect::ControlLowBitsAccepted),
        "reserved bits 0x3fffffff of the control register raise no #GP"
    );
    assert_eq!(
        only_observed("unit-base-bits", Defect::BaseLowBitsAccepted),
        "reserved bits 0x3f of the vector's base raise no #GP; reserved bits 0xfff of the table's \
         base raise no #GP"
    );
    assert_eq!(
        only_observed("unit-one-entry", Defect::AckedLingers),
        "a byte was 0x02 before its end"
    );
    assert_eq!(
        only_observed("unit-init-registers", Defect::MsrsLostAtInit),
        "INIT changes the control register; INIT changes the vector's base; INIT changes the \
         table's base"
    );
}

#[test]
fn a_flush_that_does_not_happen_fails_all_the_same() {
    for name in [
        "unit-control-bits",
        "unit-base-bits",
        "unit-one-entry",
        "unit-init-registers",
    ] {
        let broken = knobs(|knobs| Defect::SuccessWithoutFlush.apply(knobs));
        let tests = run(name, &[broken]).tests;
        assert!(
            tests.iter().all(|test| test.outcome == Outcome::Fail),
            "{tests:?}"
        );
    }
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

#[test]
fn types_and_subtypes() {
    let types = |change: fn(&mut Knobs)| observe("unit-types", knobs(change));
    assert_eq!(
        types(|_| {}),
        "type 0 SFSSFFFF; type 1 SFSSFFFF; type 2 SSSSFFFF; types 6 to 15 FFFFFFFFFF"
    );
    // A missing type, and a unit that never answers.
    assert_eq!(
        types(|knobs| knobs.types = 0b101),
        "type 0 SFSSFFFF; type 1 FFFFFFFF; type 2 SSSSFFFF; types 6 to 15 FFFFFFFFFF"
    );
    assert_eq!(
        types(|knobs| knobs.faults.mute = u64::MAX),
        "type 0 PPPPPPPP; type 1 PPPPPPPP; type 2 PPPPPPPP; types 6 to 15 PPPPPPPPPP"
    );
    // The observations of a lie and of an early answer.
    assert_eq!(
        types(|knobs| knobs.faults.lie = u64::MAX),
        "type 0 ssssssss; type 1 ssssssss; type 2 ssssssss; types 6 to 15 ssssssssss"
    );
}

#[test]
fn types_that_are_sent_only_when_asked_for() {
    let types = |change: fn(&mut Knobs)| observe("unit-types-risky", knobs(change));
    assert_eq!(types(|_| {}), "type 3 FFFFFFFF; type 4 FFFFFFFF; type 5 F");
    assert_eq!(
        types(|knobs| knobs.faults.lie = u64::MAX),
        "type 3 ssssssss; type 4 ssssssss; type 5 s"
    );
}

#[test]
fn counts_of_pages() {
    let counts = |change: fn(&mut Knobs)| observe("unit-page-counts", knobs(change));
    assert_eq!(
        counts(|_| {}),
        "0 pages F, 0 of 68 flushed; 64 pages by bit 43 F, 0 of 68 flushed"
    );
    assert_eq!(
        counts(|knobs| knobs.zero_pages = ZeroPages::Nothing),
        "0 pages s, 0 of 68 flushed; 64 pages by bit 43 F, 0 of 68 flushed"
    );
}

#[test]
fn causes_of_failure() {
    let causes = |change: fn(&mut Knobs)| observe("unit-failure-causes", knobs(change));
    assert_eq!(
        causes(|_| {}),
        "software byte S; software qwords S; bit 16 F; bit 31 F; bit 44 F; bit 63 F; qword 1 F; \
         size 3 F; PCID 4096 more F; operand bit 63 F; address off by 1 F; 2M at 4K F; 1G at 4K F; \
         noncanonical F; into the hole F; one PCID with count F; one PCID with address F"
    );
    let lenient = causes(|knobs| {
        knobs.reserved_bits = Offence::Ignore;
        knobs.unused_fields = Offence::Ignore;
        knobs.misaligned = Offence::Ignore;
    });
    // A large stride is rounded down to an address of another page.
    assert_eq!(
        lenient,
        "software byte S; software qwords S; bit 16 S; bit 31 S; bit 44 S; bit 63 S; qword 1 S; \
         size 3 F; PCID 4096 more S; operand bit 63 S; address off by 1 S; 2M at 4K s; 1G at 4K s; \
         noncanonical F; into the hole F; one PCID with count S; one PCID with address S"
    );
}

#[test]
fn bits_of_cr3() {
    let bits = |change: fn(&mut Knobs)| observe("unit-cr3-bits", knobs(change));
    assert_eq!(
        bits(|_| {}),
        "own CR3 S; bits compared 0xfffffffffffff, ignored 0xfff0000000000000, no SUCCESS 0x0"
    );
    assert_eq!(
        bits(|knobs| knobs.cr3_mask = u64::MAX << 12),
        "own CR3 S; bits compared 0xfffffffffffff000, ignored 0xfff, no SUCCESS 0x0"
    );
    assert_eq!(
        bits(|knobs| knobs.cr3_mismatch = Cr3Mismatch::Failure),
        "own CR3 S; bits compared 0xfffffffffffff, ignored 0xfff0000000000000, no SUCCESS \
         0xfffffffffffff"
    );
}

#[test]
fn entries_that_are_armed_within_a_scan() {
    let armed = |scan| observe("unit-armed-within-scan", knobs(|knobs| knobs.scan = scan));
    let served = |first: u32, last: u32| {
        format!("of 16 the first slot was served {first} times, the last {last} times")
    };
    let within = "armed within a scan, ";
    assert_eq!(armed(Scan::Live), format!("{within}{}", served(0, 16)));
    assert_eq!(armed(Scan::Snapshot), format!("{within}{}", served(0, 0)));
    assert_eq!(armed(Scan::Twice), format!("{within}{}", served(16, 16)));
}

#[test]
fn depths_of_sleep() {
    let asleep = |sleep| observe("unit-mwait", knobs(|knobs| knobs.deep_sleep = sleep));
    let light = "of 1 CPUs in C1 1 served, 0 woken";
    assert_eq!(
        asleep(Sleep::Serve),
        format!("{light}; of 1 CPUs in C6 1 served, 0 woken")
    );
    assert_eq!(
        asleep(Sleep::ServeAndWake),
        format!("{light}; of 1 CPUs in C6 1 served, 1 woken")
    );
    assert_eq!(
        asleep(Sleep::Hold),
        format!("{light}; of 1 CPUs in C6 0 served, 0 woken")
    );
}

#[test]
fn long_instructions() {
    let within = |delay| observe("unit-strings", knobs(|knobs| knobs.faults.delay = delay));
    assert_eq!(
        within(0),
        "REP MOVSB was seen to run 8 times, 8 served within; REP STOSB was seen to run 8 times, 8 \
         served within"
    );
    assert_eq!(
        within(250),
        "REP MOVSB was seen to run 8 times, 0 served within; REP STOSB was seen to run 8 times, 0 \
         served within"
    );
}

#[test]
fn commands_that_no_driver_sends() {
    let odd = |name, odd_commands| {
        let config = MachineConfig {
            odd_commands,
            ..platform::config(2)
        };
        observation(run_on(name, config))
    };
    assert_eq!(
        odd("unit-odd-commands", OddCommands::Dropped),
        "vector 0xe0: 0 of 1 served, 0 others; self: 0 of 1 served, 0 others; all: 0 of 2 served, \
         0 others; all but self: 0 of 1 served, 0 others"
    );
    assert_eq!(
        odd("unit-odd-commands", OddCommands::Taken),
        "vector 0xe0: 1 of 1 served, 0 others; self: 1 of 1 served, 0 others; all: 2 of 2 served, \
         0 others; all but self: 1 of 1 served, 0 others"
    );
    assert_eq!(
        odd("unit-level-bits", OddCommands::Dropped),
        "level: 0 of 1 served, 0 others; trigger: 0 of 1 served, 0 others; trigger and level: 0 of \
         1 served, 0 others"
    );
    assert_eq!(
        odd("unit-level-bits", OddCommands::Taken),
        "level: 1 of 1 served, 0 others; trigger: 1 of 1 served, 0 others; trigger and level: 1 of \
         1 served, 0 others"
    );
}

#[test]
fn entries_of_type_2_without_pcids() {
    let off = |change: fn(&mut Knobs)| observe("unit-pcids-off", knobs(change));
    assert_eq!(off(|_| {}), "PCID 0 SSSS; PCID 1 FF");
    assert_eq!(
        off(|knobs| knobs.faults.lie = u64::MAX),
        "PCID 0 ssss; PCID 1 ss"
    );
}

#[test]
fn whose_translations_go_while_a_guest_runs() {
    let tags = |change: fn(&mut Knobs)| observe("unit-guest-tag", knobs(change));
    let said = |hosts: u32, guests: u32| {
        ["INVPCID", "INVPG", "all"]
            .map(|entry| format!("{entry}: of 1 targets dropped by {hosts} hosts, {guests} guests"))
            .join("; ")
    };
    assert_eq!(tags(|_| {}), said(1, 0));
    assert_eq!(tags(|knobs| knobs.faults.guest_flushed = true), said(0, 1));
}
