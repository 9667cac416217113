//! How one record lies among the bytes: kind, length, body.

use rar_vocabulary::{Backend, Histogram, Method};
use serde::{Deserialize, Serialize};

use crate::names::Name;
use crate::outcome::Outcome;

/// The kinds of records. A number never changes its meaning; a record with another body gets
/// another number.
pub(crate) mod kind {
    pub(crate) const HEAD: u8 = 0;
    pub(crate) const MACHINE: u8 = 1;
    pub(crate) const REGISTERS: u8 = 2;
    pub(crate) const FACT: u8 = 3;
    pub(crate) const RESULT: u8 = 4;
    pub(crate) const MEASUREMENT: u8 = 5;
    pub(crate) const EVENT: u8 = 6;
    pub(crate) const END: u8 = 7;
}

/// The body of a test's record.
///
/// [`Disturbances`](rar_vocabulary::Disturbances) follow the body, unless there were none.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ResultBody<'a> {
    pub(crate) backend: Backend,
    #[serde(borrow)]
    pub(crate) name: Name<'a>,
    pub(crate) outcome: Outcome<'a>,
    pub(crate) initiators: u32,
    pub(crate) fallbacks: u64,
    pub(crate) resignals: u64,
}

/// The body of a measurement's record. Each latency after the first is stored as the
/// difference from the one before, so that it is short.
///
/// The count `spoiled` follows the body, and after it disturbances, unless both are nothing; the
/// disturbances are left out alone, too.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct MeasurementBody<'a> {
    pub(crate) backend: Backend,
    pub(crate) method: Method,
    pub(crate) targets: u32,
    pub(crate) pages: u32,
    #[serde(borrow)]
    pub(crate) state: Name<'a>,
    pub(crate) initiators: u32,
    pub(crate) samples: u64,
    pub(crate) min: u64,
    pub(crate) to_p50: u64,
    pub(crate) to_p99: u64,
    pub(crate) to_max: u64,
    #[serde(with = "crate::histogram")]
    pub(crate) histogram: Histogram,
}

/// One record whose body is still bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) body: &'a [u8],
}

/// Walks over records; ends before the first that is not whole.
#[derive(Clone, Debug)]
pub(crate) struct Frames<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (kind, rest) = self.rest.split_first()?;
        let (length, rest) = postcard::take_from_bytes::<u32>(rest).ok()?;
        let (body, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(Frame { kind: *kind, body })
    }
}
