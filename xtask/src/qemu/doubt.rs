//! Why the record of a test that passed is not believed.

use crate::qemu::judge::Expectation;
use crate::qemu::records::TestRecord;
use rar_suite::{Rounds, test_named};
use rar_vocabulary::Outcome;

/// A record lists the controls of so many CPUs, which keeps its line short.
const LISTED_CPUS: u32 = 64;

/// Returns why a pass is not believed.
pub(crate) fn doubt(expected: &Expectation, test: &TestRecord) -> Option<String> {
    let Some(info) = test_named(&test.name) else {
        return Some("the suite has no test of this name".to_owned());
    };
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
    if test.outcome == Outcome::Observed && info.spares {
        return Some(format!("not shown: {}", test.why));
    }
    if (test.fallbacks, test.resignals) != (0, 0) && !info.falls_back {
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
    let all = test.cpus == 1 || runs_once(&test.name);
    let seen = |cpu| test.controls.iter().any(|control| control.cpu == cpu);
    (0..test.cpus.min(LISTED_CPUS)).find(|&cpu| (all || cpu != test.initiator) && !seen(cpu))
}

/// Returns whether a test has one record, of initiator 0.
pub(crate) fn runs_once(test: &str) -> bool {
    test_named(test).is_some_and(|test| test.rounds == Rounds::Once)
}
