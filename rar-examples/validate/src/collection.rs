//! What goes into the report, kept as it comes: one result for each test and backend, and what else
//! happened.

use rar_report::{
    Backend, Event, EventKind, Measurement as Latency, Outcome, Record as Entry, TestResult, Writer,
};
use rar_suite::{Measurement, Outcome as Seen, Record};

use crate::tally::Name;
use crate::words::Words;

/// Room for the results of three backends.
const MOST_RESULTS: usize = 600;
/// Room for what was measured on three backends, on the largest machine.
const MOST_MEASUREMENTS: usize = 320;
/// Room for what happened beside the tests.
const MOST_EVENTS: usize = 64;

/// Room for a reason, or for the longest observation that the suite writes.
type Why = Words<480>;

/// One test on one backend, all its initiators together: the worst that was seen counts.
#[derive(Clone, Copy, Debug)]
struct Row {
    backend: Option<Backend>,
    name: Name,
    outcome: Option<Seen>,
    /// The first CPU as initiator that saw it.
    initiator: u32,
    why: Why,
    initiators: u32,
    fallbacks: u64,
    resignals: u64,
}

/// Something that happened beside the tests.
#[derive(Clone, Copy, Debug)]
pub struct Happening {
    /// What kind of thing.
    pub kind: EventKind,
    /// The CPU that it is about.
    pub cpu: Option<u32>,
    /// In which test; empty for none.
    pub test: Name,
    /// What is to be said.
    pub text: Why,
}

/// What was collected.
#[derive(Debug)]
pub struct Collection {
    rows: [Row; MOST_RESULTS],
    count: usize,
    /// Results for which there was no room.
    dropped: u32,
    measurements: [Option<Measurement>; MOST_MEASUREMENTS],
    measured: usize,
    dropped_measurements: u32,
    events: [(Option<Backend>, Option<Happening>); MOST_EVENTS],
    event_count: usize,
    dropped_events: u32,
    backend: Option<Backend>,
}

/// How bad an outcome is.
const fn rank(outcome: Option<Seen>) -> u8 {
    match outcome {
        None => 0,
        Some(Seen::Skipped) => 1,
        Some(Seen::Pass) => 2,
        Some(Seen::Observed) => 3,
        Some(Seen::Fail) => 4,
    }
}

impl Collection {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        let row = Row {
            backend: None,
            name: Name::EMPTY,
            outcome: None,
            initiator: 0,
            why: Why::EMPTY,
            initiators: 0,
            fallbacks: 0,
            resignals: 0,
        };
        Self {
            rows: [row; MOST_RESULTS],
            count: 0,
            dropped: 0,
            measurements: [None; MOST_MEASUREMENTS],
            measured: 0,
            dropped_measurements: 0,
            events: [(None, None); MOST_EVENTS],
            event_count: 0,
            dropped_events: 0,
            backend: None,
        }
    }

    /// Takes in a record of the suite.
    pub fn add(&mut self, record: &Record<'_>) {
        match *record {
            Record::Start { backend, .. } => self.backend = backend.parse().ok(),
            // What happens now happens between two backends.
            Record::End { .. } => self.backend = None,
            Record::Test {
                name,
                initiator,
                fallbacks,
                resignals,
                outcome,
                why,
                ..
            } => {
                let Some(row) = self.row(name) else {
                    self.dropped = self.dropped.saturating_add(1);
                    return;
                };
                let differs = outcome == Seen::Observed
                    && row.outcome == Some(outcome)
                    && row.why.as_str() != why;
                if rank(Some(outcome)) > rank(row.outcome) {
                    row.outcome = Some(outcome);
                    row.initiator = initiator;
                    row.why = Why::new(why);
                }
                if outcome != Seen::Skipped {
                    row.initiators += 1;
                }
                row.fallbacks += fallbacks;
                row.resignals += resignals;
                if differs {
                    self.happened(Happening {
                        kind: EventKind::Note,
                        cpu: Some(initiator),
                        test: Name::new(name),
                        text: Why::of(format_args!("as initiator: {why}")),
                    });
                }
            }
            Record::Measurement(measurement) => match self.measurements.get_mut(self.measured) {
                Some(place) => {
                    *place = Some(*measurement);
                    self.measured += 1;
                }
                None => self.dropped_measurements = self.dropped_measurements.saturating_add(1),
            },
            Record::Retry {
                name,
                initiator,
                why,
            } => self.happened(Happening {
                kind: EventKind::Note,
                cpu: Some(initiator),
                test: Name::new(name),
                text: Why::of(format_args!("begun again: {why}")),
            }),
            _ => {}
        }
    }

    /// Returns the row of a test on the backend that runs.
    fn row(&mut self, name: &str) -> Option<&mut Row> {
        let last = self
            .count
            .checked_sub(1)
            .and_then(|last| self.rows.get(last));
        // A test runs for all its initiators before the next one begins.
        let known =
            last.is_some_and(|row| row.backend == self.backend && row.name.as_str() == name);
        if !known {
            let row = self.rows.get_mut(self.count)?;
            row.backend = self.backend;
            row.name = Name::new(name);
            self.count += 1;
        }
        self.rows.get_mut(self.count.checked_sub(1)?)
    }

    /// Takes in something that happened beside the tests. Notes leave room for what is worse.
    pub fn happened(&mut self, happening: Happening) {
        let room = match happening.kind {
            EventKind::Note => MOST_EVENTS / 2,
            _ => MOST_EVENTS,
        };
        match self
            .events
            .get_mut(..room)
            .and_then(|room| room.get_mut(self.event_count))
        {
            Some(place) => {
                *place = (self.backend, Some(happening));
                self.event_count += 1;
            }
            None => self.dropped_events = self.dropped_events.saturating_add(1),
        }
    }

    /// Writes everything into a report.
    pub fn write(&self, writer: &mut Writer<'_>) {
        for row in self.rows.iter().take(self.count) {
            let why = row.why.as_str();
            let (Some(backend), Some(outcome)) = (row.backend, row.outcome) else {
                continue;
            };
            writer.push(&Entry::Result(TestResult {
                backend,
                name: row.name.as_str(),
                outcome: match outcome {
                    Seen::Pass => Outcome::Holds,
                    Seen::Fail => Outcome::Violated {
                        initiator: row.initiator,
                        why,
                    },
                    Seen::Observed => Outcome::Observed(why),
                    Seen::Skipped => Outcome::NotRun(why),
                },
                initiators: row.initiators,
                fallbacks: row.fallbacks,
                resignals: row.resignals,
            }));
        }
        for measurement in self.measurements.iter().flatten() {
            writer.push(&Entry::Measurement(latency(measurement)));
        }
        for (backend, happening) in self.events.iter().take(self.event_count) {
            if let Some(happening) = happening {
                writer.push(&Entry::Event(Event {
                    kind: happening.kind,
                    cpu: happening.cpu,
                    backend: *backend,
                    test: happening.test.as_str(),
                    text: happening.text.as_str(),
                }));
            }
        }
        if (self.dropped, self.dropped_measurements, self.dropped_events) != (0, 0, 0) {
            let text = Why::of(format_args!(
                "{} results, {} measurements and {} events had no room in the kernel",
                self.dropped, self.dropped_measurements, self.dropped_events
            ));
            writer.push(&Entry::Event(Event {
                kind: EventKind::Note,
                cpu: None,
                backend: None,
                test: "",
                text: text.as_str(),
            }));
        }
    }
}

/// Returns a measurement in the words of reports.
fn latency(measurement: &Measurement) -> Latency<'static> {
    Latency {
        backend: measurement.backend,
        method: measurement.method,
        targets: measurement.targets,
        pages: measurement.pages,
        state: measurement.state.name(),
        initiators: measurement.contenders,
        samples: u64::from(measurement.samples),
        min: measurement.min,
        p50: measurement.p50,
        p99: measurement.p99,
        max: measurement.max,
        histogram: measurement.histogram,
        spoiled: measurement.spoiled,
    }
}

impl Default for Collection {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rar_report::{EndReason, Histogram, Method, Records};

    fn start(backend: &'static str) -> Record<'static> {
        Record::Start {
            backend,
            cpus: 4,
            tests: 1,
            runs: 4,
            initiators: 4,
        }
    }

    fn test(
        name: &'static str,
        initiator: u32,
        outcome: Seen,
        why: &'static str,
    ) -> Record<'static> {
        Record::Test {
            name,
            question: None,
            backend: "software",
            cpus: 4,
            initiator,
            flushes: 1,
            controls: &[],
            fallbacks: 1,
            resignals: 2,
            outcome,
            why,
        }
    }

    /// Returns what a reader sees of a collection, as text.
    fn written(records: &[Record<'_>], happenings: &[Happening]) -> Vec<String> {
        let mut collection = Box::new(Collection::new());
        for record in records {
            collection.add(record);
        }
        for happening in happenings {
            collection.happened(*happening);
        }
        let mut memory = vec![0; 1 << 16];
        let mut writer = Writer::new(&mut memory, 7, "test");
        collection.write(&mut writer);
        let report = writer.finish(EndReason::Complete);
        Records::new(report)
            .map(|record| format!("{:?}", record.unwrap()))
            .filter(|text| text.starts_with("Result") || text.starts_with("Event"))
            .collect()
    }

    #[test]
    fn the_worst_of_all_initiators_counts_and_the_first_that_saw_it() {
        let rows = written(
            &[
                start("software"),
                test("storm", 0, Seen::Pass, ""),
                test("storm", 1, Seen::Fail, "stale"),
                test("storm", 2, Seen::Fail, "later"),
                test("halted", 0, Seen::Skipped, "alone"),
                start("vrar"),
                test("halted", 0, Seen::Pass, ""),
                test("halted", 1, Seen::Pass, ""),
            ],
            &[],
        );
        assert_eq!(rows.len(), 3, "{rows:?}");
        let has = |row: &str, words: &[&str]| words.iter().all(|word| row.contains(word));
        let storm = [
            "Software",
            "storm",
            "initiator: 1",
            "stale",
            "initiators: 3",
            "fallbacks: 3",
        ];
        assert!(has(&rows[0], &storm), "{}", rows[0]);
        assert!(has(
            &rows[1],
            &["Software", "NotRun(\"alone\")", "initiators: 0"]
        ));
        assert!(has(&rows[2], &["Vrar", "halted", "Holds", "initiators: 2"]));
    }

    #[test]
    fn initiators_that_observe_different_things_are_told_apart() {
        let rows = written(
            &[
                start("vrar"),
                test("order", 0, Seen::Observed, "upwards"),
                test("order", 1, Seen::Observed, "upwards"),
                test("order", 2, Seen::Observed, "downwards"),
            ],
            &[],
        );
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert!(rows[0].contains("Observed(\"upwards\")"));
        assert!(rows[1].contains("downwards") && rows[1].contains("cpu: Some(2)"));
    }

    fn measurement(targets: u32) -> Measurement {
        let mut histogram = Histogram::new();
        for ticks in [300, 700, 800] {
            histogram.record(ticks);
        }
        Measurement {
            method: Method::Rar,
            backend: Backend::Vrar,
            cpus: 4,
            targets,
            pages: 63,
            state: rar_suite::State::InterruptsOff,
            contenders: 2,
            samples: 3,
            ticks_per_millisecond: 1_000,
            min: 300,
            p50: 700,
            p99: 800,
            max: 800,
            histogram,
            spoiled: 4,
        }
    }

    #[test]
    fn what_was_measured_is_reported_as_it_was() {
        let mut collection = Box::new(Collection::new());
        collection.add(&Record::Measurement(&measurement(3)));
        let mut memory = vec![0; 1 << 12];
        let mut writer = Writer::new(&mut memory, 7, "test");
        collection.write(&mut writer);
        let report = writer.finish(EndReason::Complete);
        let mut records = Records::new(report).map(Result::unwrap);
        let found = records.find_map(|record| match record {
            Entry::Measurement(latency) => Some(latency),
            _ => None,
        });
        let mut histogram = Histogram::new();
        for ticks in [300, 700, 800] {
            histogram.record(ticks);
        }
        let expected = Latency {
            backend: Backend::Vrar,
            method: Method::Rar,
            targets: 3,
            pages: 63,
            state: "interrupts-off",
            initiators: 2,
            samples: 3,
            min: 300,
            p50: 700,
            p99: 800,
            max: 800,
            histogram,
            spoiled: 4,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn measurements_without_room_are_counted() {
        let measured: Vec<_> = (0..).map(measurement).take(MOST_MEASUREMENTS + 3).collect();
        let records: Vec<_> = measured.iter().map(Record::Measurement).collect();
        let rows = written(&records, &[]);
        assert!(
            rows[0].contains("0 results, 3 measurements and 0 events"),
            "{rows:?}"
        );
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let happening = Happening {
            kind: EventKind::CpuSilent,
            cpu: Some(3),
            test: Name::EMPTY,
            text: Words::EMPTY,
        };
        let rows = written(&[start("vrar")], &[happening; MOST_EVENTS + 2]);
        assert_eq!(rows.len(), MOST_EVENTS + 1);
        assert!(
            rows[MOST_EVENTS].contains("0 results, 0 measurements and 2 events"),
            "{rows:?}"
        );
    }
}
