//! What goes into the report, kept as it comes: one result for each test and backend, and what
//! else happened.

mod event;
mod test_row;

use rar_report::{EventKind, Writer};
use rar_suite::Record;
use rar_vocabulary::{Backend, Measurement, Text};

pub use self::event::{Event, Name};
use self::test_row::{Seen, TestRow};

/// Room for the results of three backends.
const MOST_RESULTS: usize = 600;
/// Room for what was measured on three backends, on the largest machine.
const MOST_MEASUREMENTS: usize = 320;
/// Room for what happened beside the tests.
const MOST_EVENTS: usize = 64;

/// What was collected.
#[derive(Debug)]
pub struct Collection {
    rows: [TestRow; MOST_RESULTS],
    count: usize,
    /// Results for which there was no room.
    dropped: u32,
    measurements: [Option<Measurement>; MOST_MEASUREMENTS],
    measured: usize,
    dropped_measurements: u32,
    events: [(Option<Backend>, Option<Event>); MOST_EVENTS],
    event_count: usize,
    dropped_events: u32,
    backend: Option<Backend>,
}

impl Collection {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rows: [const { TestRow::EMPTY }; MOST_RESULTS],
            count: 0,
            dropped: 0,
            measurements: [None; MOST_MEASUREMENTS],
            measured: 0,
            dropped_measurements: 0,
            events: [const { (None, None) }; MOST_EVENTS],
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
                disturbances,
                outcome,
                why,
                ..
            } => {
                let Some(row) = self.row(name) else {
                    self.dropped = self.dropped.saturating_add(1);
                    return;
                };
                let differs = row.add(Seen {
                    outcome,
                    initiator,
                    why,
                    fallbacks,
                    resignals,
                    disturbances,
                });
                if differs {
                    self.note(name, initiator, format_args!("as initiator: {why}"));
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
            } => self.note(name, initiator, format_args!("begun again: {why}")),
            _ => {}
        }
    }

    fn note(&mut self, test: &str, initiator: u32, text: core::fmt::Arguments<'_>) {
        self.happened(Event {
            kind: EventKind::Note,
            cpu: Some(initiator),
            test: Text::of(format_args!("{test}")),
            text: Text::of(text),
        });
    }

    /// Returns the row of a test on the backend that runs.
    fn row(&mut self, name: &str) -> Option<&mut TestRow> {
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
            row.name = Text::of(format_args!("{name}"));
            self.count += 1;
        }
        self.rows.get_mut(self.count.checked_sub(1)?)
    }

    /// Takes in something that happened beside the tests. Notes leave room for what is worse.
    pub fn happened(&mut self, event: Event) {
        let room = match event.kind {
            EventKind::Note => MOST_EVENTS / 2,
            _ => MOST_EVENTS,
        };
        match self
            .events
            .get_mut(..room)
            .and_then(|room| room.get_mut(self.event_count))
        {
            Some(place) => {
                *place = (self.backend, Some(event));
                self.event_count += 1;
            }
            None => self.dropped_events = self.dropped_events.saturating_add(1),
        }
    }

    /// Writes everything into a report.
    pub fn write(&self, writer: &mut Writer<'_>) {
        for result in self
            .rows
            .iter()
            .take(self.count)
            .filter_map(TestRow::result)
        {
            writer.push(&rar_report::Record::Result(result));
        }
        for measurement in self.measurements.iter().flatten() {
            writer.push(&rar_report::Record::Measurement(latency(measurement)));
        }
        for (backend, event) in self.events.iter().take(self.event_count) {
            if let Some(event) = event {
                writer.push(&rar_report::Record::Event(event.of(*backend)));
            }
        }
        if (self.dropped, self.dropped_measurements, self.dropped_events) != (0, 0, 0) {
            let event = Event {
                kind: EventKind::Note,
                cpu: None,
                test: Name::new(),
                text: Text::of(format_args!(
                    "{} results, {} measurements and {} events had no room in the kernel",
                    self.dropped, self.dropped_measurements, self.dropped_events
                )),
            };
            writer.push(&rar_report::Record::Event(event.of(None)));
        }
    }
}

impl Default for Collection {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns a measurement in the words of reports.
fn latency(measurement: &Measurement) -> rar_report::Measurement<'static> {
    rar_report::Measurement {
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
        disturbances: measurement.disturbances,
    }
}

#[cfg(test)]
mod tests;
