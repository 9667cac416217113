//! Writes records into a fixed buffer.

use rar_vocabulary::Disturbances;
use serde::Serialize;

use crate::event::EndReason;
use crate::measurement::Measurement;
use crate::names::Cursor;
use crate::outcome::TestResult;
use crate::record::{Head, LeftOut, Record};
use crate::wire::{MeasurementBody, ResultBody, kind};

/// The longest length of a body, as bytes.
const LENGTH: usize = 5;

/// The longest end: kind, length, reason, four counts.
const END: usize = 1 + LENGTH + 1 + 4 * 5;

/// Writes records into a buffer of the caller.
///
/// What does not fit is left out whole and counted; the count is the last record. Room for that one
/// is kept from the start.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    cursor: Cursor,
    left_out: LeftOut,
}

impl<'b> Writer<'b> {
    /// Starts a report. Each run takes another `id`; `project` is the version of the program that
    /// writes the report.
    pub fn new(buffer: &'b mut [u8], id: u32, project: &str) -> Self {
        let mut writer = Self {
            buffer,
            length: 0,
            cursor: Cursor::default(),
            left_out: LeftOut::default(),
        };
        writer.push(&Record::Head(Head {
            format: crate::FORMAT,
            id,
            project,
        }));
        writer
    }

    /// Adds a record, or counts it as left out if there is no room for it.
    ///
    /// The head and the end are written by [`new`](Self::new) and [`finish`](Self::finish).
    pub fn push(&mut self, record: &Record<'_>) {
        let room = self.buffer.len().saturating_sub(END);
        if self.try_push(record, room).is_none() {
            self.left_out.count(record);
        }
    }

    /// Returns what there was no room for so far.
    #[must_use]
    pub const fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Returns the records so far, without an end: what a watchdog can still show of a run that
    /// hangs.
    #[must_use]
    pub fn so_far(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Ends the report and returns its bytes, for [`seal`](crate::seal).
    #[must_use]
    pub fn finish(mut self, reason: EndReason) -> &'b [u8] {
        let end = Record::End(reason, self.left_out);
        // There is room, unless the buffer is too small for anything; a reader then says that the
        // end is missing.
        let _kept = self.try_push(&end, self.buffer.len());
        self.buffer.get(..self.length).unwrap_or_default()
    }

    fn try_push(&mut self, record: &Record<'_>, room: usize) -> Option<()> {
        match record {
            Record::Head(head) => self.body(kind::HEAD, head, room),
            Record::Machine(machine) => self.body(kind::MACHINE, machine, room),
            Record::Registers(registers) => self.body(kind::REGISTERS, registers, room),
            Record::Fact(fact) => self.body(kind::FACT, fact, room),
            Record::Event(event) => self.body(kind::EVENT, event, room),
            Record::End(reason, left_out) => self.body(kind::END, &(reason, left_out), room),
            Record::Result(result) => self.result(result, room),
            Record::Measurement(measurement) => self.measurement(measurement, room),
        }
    }

    fn result(&mut self, result: &TestResult<'_>, room: usize) -> Option<()> {
        let name = self.cursor.name(self.so_far(), result.name);
        let body = ResultBody {
            backend: result.backend,
            name,
            outcome: result.outcome,
            initiators: result.initiators,
            fallbacks: result.fallbacks,
            resignals: result.resignals,
        };
        match result.disturbances {
            Disturbances::NONE => self.body(kind::RESULT, &body, room)?,
            disturbances => self.body(kind::RESULT, &(body, disturbances), room)?,
        }
        self.cursor.pass(name);
        Some(())
    }

    fn measurement(&mut self, measurement: &Measurement<'_>, room: usize) -> Option<()> {
        let name = self.cursor.name(self.so_far(), measurement.state);
        let Measurement { min, p50, p99, .. } = *measurement;
        let body = MeasurementBody {
            backend: measurement.backend,
            method: measurement.method,
            targets: measurement.targets,
            pages: measurement.pages,
            state: name,
            initiators: measurement.initiators,
            samples: measurement.samples,
            min,
            to_p50: p50.wrapping_sub(min),
            to_p99: p99.wrapping_sub(p50),
            to_max: measurement.max.wrapping_sub(p99),
            histogram: measurement.histogram,
        };
        match (measurement.spoiled, measurement.disturbances) {
            (0, Disturbances::NONE) => self.body(kind::MEASUREMENT, &body, room)?,
            (spoiled, Disturbances::NONE) => {
                self.body(kind::MEASUREMENT, &(body, spoiled), room)?;
            }
            added => self.body(kind::MEASUREMENT, &(body, added), room)?,
        }
        self.cursor.pass(name);
        Some(())
    }

    /// Writes a record below `room`. Its bytes count only once all of them are there.
    fn body(&mut self, kind: u8, body: &impl Serialize, room: usize) -> Option<()> {
        let space = self.buffer.get_mut(self.length..room)?;
        let (head, rest) = space.split_at_mut_checked(1 + LENGTH)?;
        let body = postcard::to_slice(body, rest).ok()?.len();
        let (first, length) = head.split_first_mut()?;
        *first = kind;
        let length = postcard::to_slice(&u32::try_from(body).ok()?, length)
            .ok()?
            .len();
        space.copy_within(1 + LENGTH..1 + LENGTH + body, 1 + length);
        self.length += 1 + length + body;
        Some(())
    }
}
