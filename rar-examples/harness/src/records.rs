//! What the test kernel says on its console: lines that start with `@ ` carry one JSON record each.

use rar_vocabulary::{Backend, Disturbances, Measurement, Outcome, Soak};
use serde::Deserialize;

/// The mark of a record.
const MARK: &str = "@ ";

/// One record of the guest.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    /// The suite begins.
    Start(Start),
    /// One test with one initiator begins.
    Begin(Begin),
    /// It is retried.
    Retry(Retry),
    /// One kind of flush was measured.
    Measurement(Measurement),
    /// A soak continues, or has ended.
    Soak(Soak),
    /// One test with one initiator ended.
    Test(TestRecord),
    /// A long test is alive.
    Progress(Progress),
    /// The suite ended.
    End(End),
}

/// What the guest is about to do.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Start {
    /// What executes remote flushes.
    pub backend: Backend,
    /// CPUs that run.
    pub cpus: u32,
    /// CPUs that the firmware listed, if the guest says.
    pub expected_cpus: Option<u32>,
    /// APIC ids of CPUs that did not come up.
    #[serde(default)]
    pub missing: Vec<u32>,
    /// Number of tests.
    pub tests: usize,
    /// Number of test records that will follow: each test with each initiator.
    pub runs: usize,
    /// How many CPUs initiate each test; all if the guest does not say.
    pub initiators: Option<u32>,
}

/// The outcome of one test with one initiator.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct TestRecord {
    /// The test.
    pub name: String,
    /// The open question that it answers, by its id.
    pub question: Option<String>,
    /// What executed remote flushes.
    pub backend: Backend,
    /// CPUs that ran.
    pub cpus: u32,
    /// The CPU that flushed.
    pub initiator: u32,
    /// Flushes that were done.
    pub flushes: u64,
    /// What each CPU saw before the flush.
    pub controls: Vec<Control>,
    /// Times the flush generation had to help.
    pub fallbacks: u64,
    /// Times a signal was sent again.
    pub resignals: u64,
    /// What came from outside while it ran.
    #[serde(default)]
    pub disturbances: Disturbances,
    /// How it ended.
    pub outcome: Outcome,
    /// The assertion that failed, why the test was skipped, or what was observed.
    pub why: String,
}

/// Proof that one CPU really held a stale translation before the flush.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Control {
    /// The CPU.
    pub cpu: u32,
    /// The value it saw after the page table changed and before the flush.
    pub stale: u64,
    /// The value it has to see after the flush.
    pub new: u64,
}

/// Which test begins.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Begin {
    /// The test.
    pub name: String,
    /// The CPU that initiates.
    pub initiator: u32,
}

/// Which test is retried, since a control was not seen.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Retry {
    /// The test.
    pub name: String,
    /// The CPU that initiates.
    pub initiator: u32,
    /// What was not seen.
    pub why: String,
}

/// How far a long test is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Progress {
    /// The test.
    pub name: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
}

/// The guest's own count.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct End {
    /// Records with the outcome pass.
    pub passed: usize,
    /// Records with the outcome fail.
    pub failed: usize,
    /// Records with the outcome skipped.
    pub skipped: usize,
    /// Records with the outcome observed.
    #[serde(default)]
    pub observed: usize,
}

/// A line of the console.
#[derive(Clone, Debug)]
pub struct Line {
    /// The text without its end.
    pub text: String,
    /// Did a line feed end it? The last line of a guest that died may lack it.
    pub complete: bool,
}

/// Everything that a guest said.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// The console.
    pub lines: Vec<String>,
    /// The records, in order.
    pub records: Vec<Record>,
    /// Record lines that are no records, each with what is wrong.
    pub malformed: Vec<String>,
}

impl Transcript {
    /// Adds a line and returns the record that it carries.
    pub fn push(&mut self, line: Line) -> Option<&Record> {
        let parsed = parse(&line);
        self.lines.push(line.text);
        match parsed? {
            Ok(record) => {
                self.records.push(record);
                self.records.last()
            }
            Err(what) => {
                self.malformed.push(what);
                None
            }
        }
    }

    /// Returns the transcript in parts, each from one start record to the next; what is too many
    /// stays in the last of `most`. What comes before the first start record is in the first part,
    /// and the lines and what is malformed in the last.
    pub fn parts(&self, most: usize) -> Vec<Self> {
        let mut parts = vec![Self::default()];
        let mut starts = 0;
        for record in &self.records {
            if matches!(record, Record::Start(_)) {
                starts += 1;
                if starts > 1 && parts.len() < most {
                    parts.push(Self::default());
                }
            }
            if let Some(part) = parts.last_mut() {
                part.records.push(record.clone());
            }
        }
        if let Some(part) = parts.last_mut() {
            part.lines.clone_from(&self.lines);
            part.malformed.clone_from(&self.malformed);
        }
        parts
    }

    /// Returns whether a test failed.
    pub fn has_failed(&self) -> bool {
        let failed =
            |record: &Record| matches!(record, Record::Test(test) if test.outcome == Outcome::Fail);
        self.records.iter().any(failed)
    }

    /// Returns the test that was running when the transcript ended, as far as the records tell.
    pub fn running(&self) -> String {
        match self.records.last() {
            None => "nothing yet: no record came".to_owned(),
            Some(Record::Start(_)) => "the first test".to_owned(),
            Some(Record::Progress(progress)) => {
                format!(
                    "{} ({} of {})",
                    progress.name, progress.done, progress.total
                )
            }
            Some(Record::Begin(begin)) => {
                format!("{} (initiator {})", begin.name, begin.initiator)
            }
            Some(Record::Retry(retry)) => {
                format!("{} (initiator {}) again", retry.name, retry.initiator)
            }
            Some(Record::Soak(soak)) => {
                format!("a soak ({} flushes so far)", soak.flushes())
            }
            Some(Record::Measurement(measurement)) => {
                format!("the measurement after one by {}", measurement.method.name())
            }
            Some(Record::Test(test)) => format!(
                "the test after {} (initiator {})",
                test.name, test.initiator
            ),
            Some(Record::End(_)) => "no test: all had ended".to_owned(),
        }
    }
}

/// Returns the record in a line, or what is wrong with it; `None` for a line that is no record.
fn parse(line: &Line) -> Option<Result<Record, String>> {
    let text = line.text.as_str();
    // A record that was cut after its first byte is a record too.
    if !text.starts_with(MARK) && (text != "@" || line.complete) {
        return None;
    }
    if !line.complete {
        return Some(Err(format!("a record was cut off: {text}")));
    }
    let json = text.strip_prefix(MARK).unwrap_or_default();
    Some(
        serde_json::from_str(json)
            .map_err(|error| format!("a record is malformed ({error}): {text}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{START, TEST, complete};

    #[test]
    fn records_are_read_in_any_field_order() {
        let end = r#"@ {"skipped":1,"type":"end","failed":0,"passed":123}"#;
        let record = parse(&complete(end)).unwrap().unwrap();
        assert_eq!(
            record,
            Record::End(End {
                passed: 123,
                failed: 0,
                skipped: 1,
                observed: 0,
            })
        );
        assert!(matches!(
            parse(&complete(START)),
            Some(Ok(Record::Start(_)))
        ));
        assert!(matches!(parse(&complete(TEST)), Some(Ok(Record::Test(_)))));
    }

    #[test]
    fn what_disturbed_a_test_is_read_and_else_nothing_did() {
        let read = |text: &str| match parse(&complete(text)) {
            Some(Ok(Record::Test(test))) => test.disturbances,
            other => panic!("{other:?}"),
        };
        assert_eq!(read(TEST), Disturbances::NONE);
        let told = r#""disturbances":{"nmis":2,"strays":0,"gaps":1,"longest_gap":120},"outcome""#;
        let some = read(&TEST.replace("\"outcome\"", told));
        assert_eq!((some.nmis, some.longest_gap), (2, 120));
    }

    #[test]
    fn plain_lines_are_no_records() {
        for text in ["", "hello", "@", "@{}", " @ {}", "user@host"] {
            assert!(parse(&complete(text)).is_none(), "{text:?}");
        }
    }

    #[test]
    fn damage_is_never_ignored() {
        let cut = TEST.get(..60).unwrap();
        let wrong_outcome = TEST.replace("pass", "passed");
        let negative = TEST.replace("\"flushes\":1", "\"flushes\":-1");
        let missing_field = TEST.replace("\"resignals\":0,", "");
        let twice = TEST.replace("\"resignals\":0,", "\"resignals\":0,\"resignals\":0,");
        let two_in_a_line = format!("{TEST} {TEST}");
        let unknown = r#"@ {"type":"novel"}"#.to_owned();
        for text in [
            cut.to_owned(),
            wrong_outcome,
            negative,
            missing_field,
            twice,
            two_in_a_line,
            unknown,
        ] {
            assert!(matches!(parse(&complete(&text)), Some(Err(_))), "{text}");
        }
        for text in [TEST, "@ ", "@"] {
            let line = Line {
                text: text.to_owned(),
                complete: false,
            };
            assert!(matches!(parse(&line), Some(Err(_))), "{text}");
        }
    }

    #[test]
    fn the_running_test_is_named() {
        let mut transcript = Transcript::default();
        assert!(transcript.running().contains("no record"));
        transcript.push(complete(START));
        transcript.push(complete(TEST));
        assert!(transcript.running().contains("after one-page"));
        transcript.push(complete(
            r#"@ {"type":"progress","name":"storm","done":4,"total":8}"#,
        ));
        assert_eq!(transcript.running(), "storm (4 of 8)");
    }
}
