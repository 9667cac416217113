//! Which test must detect which broken RAR unit in QEMU.

use std::collections::BTreeSet;

use rar_model::Defect;
use rar_suite::test_named;
use rar_vocabulary::Outcome;

use crate::collateral_failures::collateral;
use crate::modes::Thread;

/// What QEMU must show of a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// This test is violated.
    Violated(&'static str),
    /// This test, which holds on a right unit, observes these words: no source calls it wrong.
    Observed(&'static str, &'static str),
    /// Nothing, for this reason.
    Undetected(&'static str),
}

/// How a test ended with a broken unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// The test.
    pub test: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The assertion that failed, or what was observed.
    pub why: String,
}

/// Returns what QEMU must show of a defect.
pub const fn expected_detection(defect: Defect) -> Detection {
    use Detection::{Observed, Undetected, Violated};
    match defect {
        Defect::SuccessWithoutFlush => Violated("one-page"),
        Defect::SuccessWithoutFlushToItself => Violated("unit-signals-itself"),
        Defect::StatusBeforeFlush => Undetected(
            "a unit of the shim is done before its CPU runs on, and no other CPU sees its TLB",
        ),
        Defect::StoresNotDrained => Undetected("TCG has no store buffer"),
        Defect::OnePageTooFew => Violated("unit-pages-1"),
        Defect::OnePageTooMany => Violated("unit-pages-63"),
        Defect::StrideSameSizeOnly => Violated("unit-small-stride"),
        Defect::StrideIgnored => Violated("unit-large-stride"),
        Defect::GlobalsKept => Violated("unit-subtypes"),
        Defect::PcidOneLess
        | Defect::NeverAnswers
        | Defect::PayloadIndexOff
        | Defect::VectorBaseOff
        | Defect::FailureAlways => Violated("unit-one-entry"),
        Defect::PcidCurrent => Undetected("TCG has no PCIDs"),
        Defect::GuestFlushed => Undetected("the shim's guests have no guests"),
        Defect::StructuresKept => Undetected("TCG has no paging-structure caches"),
        Defect::WalkSurvivesFlush => Undetected("TCG's walks are over before a signal is served"),
        Defect::DirtyBitKept => Undetected("the D bits are set by TCG, not by the shim"),
        Defect::FirstEntryOnly | Defect::HighestEntryOnly => Violated("unit-slots-at-once"),
        Defect::ScanStopsAtGap
        | Defect::HalfTable
        | Defect::FailureSometimes
        | Defect::SignalLost => Violated("unit-slots-in-turn"),
        Defect::LatchedScan => {
            Undetected("a scan of the shim is over before another signal can come in its middle")
        }
        Defect::AckedLingers => Observed("unit-byte-values", "0x02"),
        Defect::SignalDuplicated => Violated("unit-unsignalled"),
        Defect::SignalDelayed => {
            Undetected("sixteen stays in the shim are over sooner than a host may take for one")
        }
        Defect::SignalsAnnihilate => Violated("unit-signals-merge"),
        Defect::HaltNotServed => Violated("unit-halted"),
        Defect::IgnoreIfUnheeded => Violated("unit-interrupts-off"),
        Defect::DisabledAnswers => Violated("unit-disabled"),
        Defect::ControlLowBitsAccepted => Observed(
            "unit-control-bits",
            "bits 0x3fffffff of the control register raise no #GP",
        ),
        Defect::BaseLowBitsAccepted => Observed("unit-base-bits", "raise no #GP"),
        Defect::MsrsLostAtInit => Observed("unit-init-registers", "INIT changes"),
        Defect::LatchKeptAtInit => Violated("unit-init-signal"),
    }
}

/// Returns the test that must detect a defect.
pub const fn detecting_test(defect: Defect) -> Option<&'static str> {
    match expected_detection(defect) {
        Detection::Violated(test) | Detection::Observed(test, _) => Some(test),
        Detection::Undetected(_) => None,
    }
}

/// Returns TCG's threads with which a defect shows.
pub const fn thread(defect: Defect) -> Thread {
    match defect {
        // Otherwise the sender does not run while the target waits.
        Defect::AckedLingers => Thread::Multi,
        _ => Thread::Single,
    }
}

/// Returns the tests of a run: all, or what is not slow with host threads.
pub fn tests(thread: Thread) -> &'static [&'static str] {
    match thread {
        Thread::Single => &[],
        Thread::Multi => &["unit-one-entry", "unit-byte-values"],
    }
}

/// Judges a run without a defect.
///
/// # Errors
///
/// A test failed, or observed what is expected of a defect only.
pub fn judge_control(seen: &[TestOutcome]) -> Result<(), String> {
    let violated: Vec<_> = violated(seen)
        .map(|one| format!("{}: {}", one.test, one.why))
        .collect();
    if !violated.is_empty() {
        return Err(format!(
            "control run (no defect): unexpected failures: {}",
            violated.join("; ")
        ));
    }
    for defect in Defect::ALL {
        if let Detection::Observed(test, words) = expected_detection(*defect)
            && observes(seen, test, words)
        {
            return Err(format!(
                "control run (no defect): {test} observes `{words}`"
            ));
        }
    }
    Ok(())
}

/// Judges a run with a defect; returns in a few words which test detected it, or why none could.
///
/// # Errors
///
/// The right test did not detect it, or another test failed that should not.
pub fn judge(defect: Defect, seen: &[TestOutcome]) -> Result<String, String> {
    let tests: BTreeSet<_> = violated(seen).map(|one| one.test.as_str()).collect();
    let (detected, verdict) = match expected_detection(defect) {
        Detection::Violated(test) => (tests.contains(test), format!("violated: {test}")),
        Detection::Observed(test, words) => {
            (observes(seen, test, words), format!("observed: {test}"))
        }
        Detection::Undetected(why) => (true, format!("not shown: {why}")),
    };
    if !detected {
        return Err(format!("expected {verdict}, which did not happen"));
    }
    let expected = expected_detection(defect);
    let right = |test: &str| matches!(expected, Detection::Violated(right) if right == test);
    let may_fail = |test: &str| {
        test_named(test).is_some_and(|test| collateral(defect).includes(test)) || right(test)
    };
    let stray: Vec<_> = tests.into_iter().filter(|test| !may_fail(test)).collect();
    match stray.is_empty() {
        true => Ok(verdict),
        false => Err(format!("unexpected failures: {}", stray.join(", "))),
    }
}

/// Returns the tests that were violated.
pub fn violated(seen: &[TestOutcome]) -> impl Iterator<Item = &TestOutcome> {
    seen.iter().filter(|one| one.outcome == Outcome::Fail)
}

fn observes(seen: &[TestOutcome], test: &str, words: &str) -> bool {
    seen.iter()
        .any(|one| one.outcome == Outcome::Observed && one.test == test && one.why.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_counts_what_qemu_shows() {
        let all = Defect::ALL.len();
        let undetected =
            |defect: &&Defect| matches!(expected_detection(**defect), Detection::Undetected(_));
        let shown = all - Defect::ALL.iter().filter(undetected).count();
        let words = format!("{shown} of the {all} units also below the kernels in QEMU");
        assert!(
            include_str!("../../../README.md").contains(&words),
            "{words}"
        );
    }
    use crate::collateral_failures::Collateral;

    fn seen(test: &str, outcome: Outcome, why: &str) -> TestOutcome {
        TestOutcome {
            test: test.to_owned(),
            outcome,
            why: why.to_owned(),
        }
    }

    #[test]
    fn every_name_is_that_of_a_test() {
        for defect in Defect::ALL {
            let others = collateral(*defect).named().iter().copied();
            let names = detecting_test(*defect).into_iter().chain(others);
            for name in names.chain(tests(thread(*defect)).iter().copied()) {
                assert!(test_named(name).is_some(), "{defect}: {name}");
            }
        }
    }

    #[test]
    fn most_defects_are_detected_in_qemu_too_and_the_pages_count_them() {
        let detected = Defect::ALL
            .iter()
            .filter(|defect| detecting_test(**defect).is_some());
        let (detected, all) = (detected.count(), Defect::ALL.len());
        assert!(detected * 4 > all * 3);
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&format!("{detected} of the {all} units")));
        let page = include_str!("../../../docs/vrar.md");
        assert!(page.contains(&format!("QEMU shows {detected} of {all} defects")));
    }

    #[test]
    fn where_nothing_is_violated_nothing_may_be() {
        for defect in Defect::ALL {
            if !matches!(expected_detection(*defect), Detection::Violated(_)) {
                assert_eq!(collateral(*defect), Collateral::Only(&[]), "{defect}");
            }
        }
    }

    #[test]
    fn the_right_test_must_detect_it_and_no_other() {
        let fails = |test| seen(test, Outcome::Fail, "stale");
        let kept = Defect::GlobalsKept;
        let right = judge(kept, &[fails("unit-subtypes"), fails("everything")]);
        assert_eq!(right, Ok("violated: unit-subtypes".to_owned()));
        let silent = judge(kept, &[fails("everything")]).unwrap_err();
        assert!(
            silent.contains("unit-subtypes") && silent.contains("did not happen"),
            "{silent}"
        );
        let stray = judge(
            kept,
            &[fails("unit-subtypes"), fails("storm"), fails("storm")],
        );
        assert_eq!(stray, Err("unexpected failures: storm".to_owned()));
        assert!(
            judge(Defect::PcidCurrent, &[])
                .unwrap()
                .contains("TCG has no PCIDs")
        );
        assert!(judge(Defect::PcidCurrent, &[fails("storm")]).is_err());
        let all = judge(
            Defect::NeverAnswers,
            &[fails("unit-one-entry"), fails("storm")],
        );
        assert_eq!(all, Ok("violated: unit-one-entry".to_owned()));
        let whole = [fails("unit-one-entry"), fails("deferred-is-spared")];
        assert!(judge(Defect::NeverAnswers, &whole).is_err());
    }

    #[test]
    fn what_no_source_calls_wrong_is_detected_by_words_that_a_right_unit_does_not_say() {
        let says = |words| seen("unit-init-registers", Outcome::Observed, words);
        let lost = Defect::MsrsLostAtInit;
        assert!(judge(lost, &[says("INIT changes the control register")]).is_ok());
        assert!(judge(lost, &[says("nothing")]).is_err());
        assert!(judge(lost, &[seen("unit-init-registers", Outcome::Pass, "")]).is_err());
        assert!(judge_control(&[says("nothing")]).is_ok());
        assert!(judge_control(&[says("INIT changes the control register")]).is_err());
        assert!(judge_control(&[seen("storm", Outcome::Fail, "stale")]).is_err());
    }
}
