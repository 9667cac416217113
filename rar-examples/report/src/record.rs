//! One entry of a report.

use serde::{Deserialize, Serialize};

use crate::event::{EndReason, Event};
use crate::machine::Machine;
use crate::measurement::Measurement;
use crate::outcome::TestResult;
use crate::registers::Registers;

/// One entry of a report. The first is a [`Head`], the last is the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a record lives from its reading to its use; there is no memory to box it in"
)]
pub enum Record<'a> {
    /// What report this is.
    Head(Head<'a>),
    /// The machine.
    Machine(Machine<'a>),
    /// Registers as they were read.
    Registers(Registers),
    /// Anything worth knowing that has no record of its own.
    Fact(Fact<'a>),
    /// A test.
    Result(TestResult<'a>),
    /// A measurement.
    Measurement(Measurement<'a>),
    /// Something that went wrong.
    Event(Event<'a>),
    /// The end, and how many records there was no room for.
    End(EndReason, LeftOut),
}

/// What report this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head<'a> {
    /// The version of the records, see [`FORMAT`](crate::FORMAT).
    pub format: u16,
    /// The number of the run: each run has another.
    pub id: u32,
    /// The version of the program that wrote it.
    pub project: &'a str,
}

/// The key of the fact that the machine may have more CPUs than its firmware lists in a form that
/// can be read. The value is a decimal number: how many CPUs there are at least.
pub const CPUS_AT_LEAST: &str = "cpus-at-least";

/// The key of the fact by what the rate of the time stamp counter is known. The value is a text for
/// people: the source, its bound in millionths, and which other sources agree or disagree.
pub const CLOCK: &str = "clock";

/// Anything worth knowing that has no record of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact<'a> {
    /// What it is about.
    pub key: &'a str,
    /// What is so.
    pub value: &'a str,
}

/// How many records there was no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Tests.
    pub results: u32,
    /// Measurements.
    pub measurements: u32,
    /// Events.
    pub events: u32,
    /// All others.
    pub others: u32,
}

impl LeftOut {
    /// Returns whether nothing was left out.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn count(&mut self, record: &Record<'_>) {
        let counter = match record {
            Record::Result(_) => &mut self.results,
            Record::Measurement(_) => &mut self.measurements,
            Record::Event(_) => &mut self.events,
            _ => &mut self.others,
        };
        *counter = counter.saturating_add(1);
    }
}
