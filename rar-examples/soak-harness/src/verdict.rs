//! Whether a slice passed.

use rar_harness::ending::{Ending, FAILED, PASSED};
use rar_harness::records::{Record, Transcript};
use rar_vocabulary::{Outcome, Soak, SoakFault};

use crate::slice::Slice;

/// What is wrong with a slice.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// All that is wrong.
    pub(crate) problems: Vec<String>,
    /// Whether it hung, panicked or died.
    pub(crate) died: bool,
}

/// Judges a slice that ended.
pub(crate) fn judge(slice: &Slice, transcript: &Transcript, ending: Ending) -> Judged {
    let mut problems = transcript.malformed.clone();
    let mut died = false;
    match ending {
        Ending::Exited(PASSED | FAILED) => {}
        Ending::Exited(code) => {
            died = true;
            problems.push(format!("the guest ended with exit code {code}"));
        }
        Ending::Signalled(signal) => {
            died = true;
            problems.push(format!("the guest was killed by signal {signal}"));
        }
        Ending::TimedOut(limit) => {
            died = true;
            problems.push(format!("hang: no end after {} s", limit.as_secs()));
        }
    }
    let records = &transcript.records;
    let start = records.iter().find_map(|record| match record {
        Record::Start(start) => Some(start),
        _ => None,
    });
    match start {
        None => problems.push("no record came".to_owned()),
        Some(start) => {
            let (backend, cpus) = (slice.machine.backend(), slice.cpus);
            if start.backend != backend || start.cpus != cpus {
                problems.push(format!(
                    "wrong machine (got {} on {} CPUs, expected {backend} on {cpus} CPUs)",
                    start.backend, start.cpus
                ));
            }
        }
    }
    match outcome(transcript) {
        Err(why) => problems.push(why),
        Ok(()) if ending != Ending::PASSED && !died => {
            problems.push("the soak passed, but the guest says that it failed".to_owned());
        }
        Ok(()) => {}
    }
    if problems.is_empty() {
        problems = doubts(slice.cpus, &last(transcript).unwrap_or_default());
    }
    Judged { problems, died }
}

/// Returns whether the soak passed, by its own record.
///
/// # Errors
///
/// Why it did not.
pub fn outcome(transcript: &Transcript) -> Result<(), String> {
    let test = transcript.records.iter().find_map(|record| match record {
        Record::Test(test) => Some(test),
        _ => None,
    });
    match test {
        None => Err("the soak did not end".to_owned()),
        Some(test) if test.outcome != Outcome::Pass => Err(test.why.clone()),
        Some(_) => Ok(()),
    }
}

/// Returns what was counted at the end.
#[must_use]
pub fn last(transcript: &Transcript) -> Option<Soak> {
    let mut records = transcript.records.iter().rev();
    records.find_map(|record| match record {
        Record::Soak(soak) => Some(*soak),
        _ => None,
    })
}

/// Returns what a soak on that many CPUs has not shown, though it says that it passed.
#[must_use]
pub fn doubts(cpus: u32, soak: &Soak) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            problems.push(what);
        }
    };
    expect(soak.stale == 0, format!("{} stale accesses", soak.stale));
    expect(
        soak.unexplained == 0,
        format!("{} flushes by other means", soak.unexplained),
    );
    for (kind, each) in SoakFault::ALL.iter().zip(soak.faults) {
        expect(
            each.accounted == each.injected,
            format!(
                "fault {kind}: {} of {} accounted for",
                each.accounted, each.injected
            ),
        );
    }
    expect(soak.flushes() > 0, "no flush".to_owned());
    if cpus > 1 {
        expect(soak.verified() > 0, "no flush is verified".to_owned());
        // Without it the old translations may never have been in a TLB.
        expect(
            2 * soak.controls_seen >= soak.controls,
            format!(
                "the stale translation was seen in {} of {} controls only",
                soak.controls_seen, soak.controls
            ),
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rar_harness::samples::complete;

    use super::*;

    const START: &str = r#"@ {"type":"start","backend":"software","cpus":2,"tests":1,"runs":1}"#;
    const TEST: &str = concat!(
        r#"@ {"type":"test","name":"soak","question":null,"backend":"software","cpus":2,"#,
        r#""initiator":0,"flushes":9,"controls":[],"fallbacks":0,"resignals":0,"#,
        r#""outcome":"pass","why":""}"#
    );

    fn soak(change: impl FnOnce(&mut Soak)) -> String {
        let mut soak = Soak {
            controls: 4,
            controls_seen: 4,
            ..Soak::default()
        };
        if let Some(first) = soak.operations.first_mut() {
            (first.flushes, first.verified) = (9, 5);
        }
        change(&mut soak);
        let text = serde_json::to_string(&soak).unwrap();
        format!(r#"@ {{"type":"soak",{}"#, text.strip_prefix('{').unwrap())
    }

    fn problems(lines: &[&str], ending: Ending) -> String {
        let slice = "software-single:2:1:5".parse().unwrap();
        let mut transcript = Transcript::default();
        for line in lines {
            transcript.push(complete(line));
        }
        judge(&slice, &transcript, ending).problems.join("; ")
    }

    #[test]
    fn an_honest_slice_passes() {
        let lines = [START, &soak(|_| ()), TEST];
        assert_eq!(problems(&lines, Ending::PASSED), "");
    }

    #[test]
    fn what_was_not_shown_is_a_problem() {
        let counted = |change: fn(&mut Soak)| {
            let lines = [START, &soak(change), TEST];
            problems(&lines, Ending::PASSED)
        };
        assert_eq!(counted(|soak| soak.stale = 2), "2 stale accesses");
        assert_eq!(
            counted(|soak| soak.unexplained = 1),
            "1 flushes by other means"
        );
        assert!(counted(|soak| soak.controls_seen = 1).contains("1 of 4"));
        let verified = counted(|soak| soak.operations[0].verified = 0);
        assert_eq!(verified, "no flush is verified");
        let fault = counted(|soak| soak.faults[0].injected = 3);
        assert_eq!(fault, "fault offline: 0 of 3 accounted for");
    }

    #[test]
    fn a_guest_that_fails_or_dies_does_not_pass() {
        let counted = soak(|_| ());
        let failed = TEST.replace(r#""pass","why":"""#, r#""fail","why":"stale load""#);
        let lines = [START, &counted, &failed];
        assert_eq!(problems(&lines, Ending::FAILED), "stale load");
        let lines = [START, &counted, TEST];
        assert!(problems(&lines, Ending::FAILED).contains("says that it failed"));
        assert!(problems(&lines, Ending::Exited(37)).contains("exit code 37"));
        let late = Ending::TimedOut(Duration::from_secs(7));
        assert!(problems(&lines, late).contains("no end after 7 s"));
        assert!(problems(&[START, &counted], Ending::PASSED).contains("did not end"));
        assert!(problems(&[], Ending::PASSED).contains("no record"));
        let other = START.replace("software", "vrar");
        assert!(problems(&[&other, &counted, TEST], Ending::PASSED).contains("wrong machine"));
    }
}
