//! Why the record of a test that passed is not believed.

use crate::qemu::judge::Expectation;
use crate::qemu::measurements::MEASUREMENTS;
use crate::qemu::records::TestRecord;
use rar_vocabulary::Outcome;

/// A record lists the controls of so many CPUs, which keeps its line short.
const LISTED_CPUS: u32 = 64;

/// The tests that keep a target from answering the signal: they are about the fallback. In any other one it would hide that
/// the signal does not work.
pub(crate) const WITH_FALLBACK: [&str; 4] = [
    "signal-unheard",
    "target-silent",
    "target-takes-nmi",
    "unit-serves-late",
];

/// The tests of what a flush leaves alone. QEMU's INVLPG is exact, so that there they end with more than an observation.
pub(crate) const SPARING: [&str; 4] = [
    "several-requests",
    "neighbours-1",
    "neighbours-4",
    "neighbours-64",
];

/// Returns why a pass is not believed.
pub(crate) fn doubt(expected: &Expectation, test: &TestRecord) -> Option<String> {
    if test.backend != expected.backend {
        return Some(format!(
            "ran on backend {}, asked for {}",
            test.backend, expected.backend
        ));
    }
    if test.cpus != expected.cpus {
        return Some(format!(
            "ran on {} CPUs, asked for {}",
            test.cpus, expected.cpus
        ));
    }
    let least = match test.name.as_str() {
        "storm" => u64::from(test.cpus) * u64::from(expected.flushes.max(1)),
        _ => 1,
    };
    if test.flushes < least {
        return Some(format!("{} flushes, it must make {least}", test.flushes));
    }
    if test.outcome == Outcome::Observed && SPARING.contains(&test.name.as_str()) {
        return Some(format!("not shown: {}", test.why));
    }
    if (test.fallbacks, test.resignals) != (0, 0) && !WITH_FALLBACK.contains(&test.name.as_str()) {
        return Some(format!(
            "the signal did not do it alone: {} fallbacks, {} second signals",
            test.fallbacks, test.resignals
        ));
    }
    if let Some(cpu) = without_control(test) {
        return Some(format!(
            "no control: CPU {cpu} was not seen to hold a stale value before the flush"
        ));
    }
    test.controls
        .iter()
        .find(|control| control.stale == control.new)
        .map(|control| {
            format!(
                "control not seen: CPU {} read {} before the flush already",
                control.cpu, control.new
            )
        })
}

/// Returns a target without a control.
fn without_control(test: &TestRecord) -> Option<u32> {
    // Alone, a CPU is its own target.
    let all = test.cpus == 1 || all_initiate(&test.name);
    let seen = |cpu| test.controls.iter().any(|control| control.cpu == cpu);
    (0..test.cpus.min(LISTED_CPUS)).find(|&cpu| (all || cpu != test.initiator) && !seen(cpu))
}

/// The tests that run once beside the storms: every CPU flushes, or who does is all the same and the test is long.
const ONCE: [&str; 10] = [
    MEASUREMENTS,
    "target-in-user-mode",
    "unit-strings",
    "unit-combinations",
    "unit-storm",
    "unit-types",
    "unit-types-risky",
    "unit-page-counts",
    "unit-failure-causes",
    "unit-cr3-bits",
];

/// In a storm every CPU flushes, so it runs once, with initiator 0.
pub(crate) fn all_initiate(test: &str) -> bool {
    test.starts_with("storm") || ONCE.contains(&test)
}
