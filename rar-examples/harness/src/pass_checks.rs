//! What the record of a test must show so that its pass counts.

use rar_suite::{Rounds, test_named};
use rar_vocabulary::Outcome;

use crate::expectation::Expectation;
use crate::records::TestRecord;

/// A record lists the controls of at most that many CPUs, which keeps its line short.
const LISTED_CPUS: u32 = 64;

/// Returns why a pass, or an observation, does not count.
pub(crate) fn objection(expected: &Expectation, test: &TestRecord) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use rar_suite::TESTS;

    use super::*;
    use crate::records::Record;
    use crate::samples::{TEST, expected, transcript};

    #[track_caller]
    fn assert_objection(line: &str, words: &str) {
        let Some(Record::Test(test)) = transcript(&[line]).records.pop() else {
            panic!()
        };
        let why = objection(&expected(), &test).unwrap_or_default();
        assert!(
            why.contains(words) && why.is_empty() == words.is_empty(),
            "{why}"
        );
    }

    #[test]
    fn a_pass_without_flushes_is_not_believed() {
        assert_objection(TEST, "");
        assert_objection(&TEST.replace("\"flushes\":1", "\"flushes\":0"), "0 flushes");
    }

    #[test]
    fn the_storm_has_its_volume_and_each_control() {
        let storm = |flushes: &str, controls: &str| {
            let flushes = format!("\"flushes\":{flushes}");
            TEST.replace("one-page", "storm")
                .replace("\"flushes\":1", &flushes)
                .replace("\"controls\":[", &format!("\"controls\":[{controls}"))
        };
        let own = r#"{"cpu":0,"stale":1,"new":2},"#;
        assert_objection(&storm("6", own), "");
        assert_objection(&storm("5", own), "5 flushes, it must make 6");
        assert_objection(&storm("6", ""), "no control: CPU 0");
    }

    #[test]
    fn help_for_the_signal_is_believed_only_where_it_is_tested() {
        for field in ["fallbacks", "resignals"] {
            let helped = TEST.replace(&format!("\"{field}\":0"), &format!("\"{field}\":1"));
            assert_objection(
                &helped,
                &format!(
                    "1 {}",
                    if field == "fallbacks" {
                        field
                    } else {
                        "second signals"
                    }
                ),
            );
            let falls_back = TESTS.iter().filter(|test| test.falls_back);
            // A test that runs once needs the control of its initiator, too.
            let own = r#""controls":[{"cpu":0,"stale":1,"new":2},"#;
            let helped = helped.replace("\"controls\":[", own);
            for name in falls_back.map(|test| test.name) {
                assert_objection(&helped.replace("one-page", name), "");
            }
        }
    }
}
