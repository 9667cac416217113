//! Reads records back, from bytes that may come from anywhere.

use core::fmt;

use rar_vocabulary::Disturbances;
use serde::Deserialize;

use crate::measurement::Measurement;
use crate::names::{Cursor, name_of};
use crate::outcome::TestResult;
use crate::record::Record;
use crate::wire::{Frame, Frames, MeasurementBody, ResultBody, kind};

/// The records of a report, in their order.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    frames: Frames<'a>,
    cursor: Cursor,
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// A kind that this version cannot read; the records after it can be read.
    UnknownKind(u8),
    /// A body that does not fit its kind; the records after it can be read.
    Body {
        /// The kind.
        kind: u8,
        /// Where the body starts.
        at: usize,
    },
    /// The bytes end inside a record; nothing follows.
    Cut {
        /// Where the record starts.
        at: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(
                f,
                "a record has kind {kind}, which this version cannot read: take a newer one"
            ),
            Self::Body { kind, at } => {
                write!(f, "the record of kind {kind} at byte {at} cannot be read")
            }
            Self::Cut { at } => write!(f, "the report ends inside the record at byte {at}"),
        }
    }
}

impl core::error::Error for ReadError {}

impl<'a> Records<'a> {
    /// Starts at the first record of a report that [`open`](crate::open) returned.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            frames: Frames { rest: bytes },
            cursor: Cursor::default(),
        }
    }

    fn read(&mut self, frame: &Frame<'a>) -> Option<Record<'a>> {
        let body = frame.body;
        let record = match frame.kind {
            kind::HEAD => Record::Head(postcard::from_bytes(body).ok()?),
            kind::MACHINE => Record::Machine(postcard::from_bytes(body).ok()?),
            kind::REGISTERS => Record::Registers(postcard::from_bytes(body).ok()?),
            kind::FACT => Record::Fact(postcard::from_bytes(body).ok()?),
            kind::EVENT => Record::Event(postcard::from_bytes(body).ok()?),
            kind::END => {
                let (reason, left_out) = postcard::from_bytes(body).ok()?;
                Record::End(reason, left_out)
            }
            kind::RESULT => {
                let (fields, rest) = postcard::take_from_bytes(body).ok()?;
                let (disturbances, _) = added(rest)?;
                Record::Result(self.result(&fields, disturbances)?)
            }
            _ => {
                let (fields, rest) = postcard::take_from_bytes(body).ok()?;
                let (spoiled, rest) = added(rest)?;
                let (disturbances, _) = added(rest)?;
                Record::Measurement(self.measurement(&fields, spoiled, disturbances)?)
            }
        };
        Some(record)
    }

    fn result(&self, body: &ResultBody<'a>, disturbances: Disturbances) -> Option<TestResult<'a>> {
        Some(TestResult {
            backend: body.backend,
            name: self.cursor.text(self.bytes, body.name)?,
            outcome: body.outcome,
            initiators: body.initiators,
            fallbacks: body.fallbacks,
            resignals: body.resignals,
            disturbances,
        })
    }

    fn measurement(
        &self,
        body: &MeasurementBody<'a>,
        spoiled: u64,
        disturbances: Disturbances,
    ) -> Option<Measurement<'a>> {
        let p50 = body.min.wrapping_add(body.to_p50);
        let p99 = p50.wrapping_add(body.to_p99);
        Some(Measurement {
            backend: body.backend,
            method: body.method,
            targets: body.targets,
            pages: body.pages,
            state: self.cursor.text(self.bytes, body.state)?,
            initiators: body.initiators,
            samples: body.samples,
            min: body.min,
            p50,
            p99,
            max: p99.wrapping_add(body.to_max),
            histogram: body.histogram,
            spoiled,
            disturbances,
        })
    }
}

/// Reads a field that was added to the end of a body: without it, it is nothing.
fn added<'a, T: Default + Deserialize<'a>>(rest: &'a [u8]) -> Option<(T, &'a [u8])> {
    match rest {
        [] => Some((T::default(), rest)),
        rest => postcard::take_from_bytes(rest).ok(),
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.bytes.len() - self.frames.rest.len();
        let Some(frame) = self.frames.next() else {
            let whole = self.frames.rest.is_empty();
            self.frames.rest = &[];
            return (!whole).then_some(Err(ReadError::Cut { at }));
        };
        if frame.kind > kind::END {
            return Some(Err(ReadError::UnknownKind(frame.kind)));
        }
        let record = self.read(&frame);
        if let Some(name) = name_of(&frame) {
            self.cursor.pass(name);
        }
        let body = self.bytes.len() - self.frames.rest.len() - frame.body.len();
        Some(record.ok_or(ReadError::Body {
            kind: frame.kind,
            at: body,
        }))
    }
}
