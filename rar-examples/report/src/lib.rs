#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod base45;
mod checksum;
mod container;
mod event;
mod histogram;
mod machine;
mod measurement;
mod names;
mod outcome;
mod part;
pub mod qr;
mod reader;
mod record;
mod registers;
mod symbol;
mod wire;
mod writer;

pub use container::{CONTAINER_HEADER, Header, SealError, UnsealError, open, open_prefix, seal};
pub use event::{EndReason, Event, EventKind};
pub use machine::{ApicMode, Firmware, Machine, TscSource};
pub use measurement::Measurement;
pub use outcome::{Outcome, TestResult};
pub use part::{MARK, MAX_PARTS, Part, PartError, PartHead, Parts, SerialLine, TooLong, read_part};
pub use rar_vocabulary::{Backend, Disturbances, Histogram, Method};
pub use reader::{ReadError, Records};
pub use record::{CLOCK, CPUS_AT_LEAST, Fact, Head, LeftOut, Record};
pub use registers::{RegisterRead, Registers};
pub use symbol::Symbol;
pub use writer::Writer;

/// The version of the records that this crate writes, and the newest that it reads.
///
/// It grows only when a tool of before could misread a report: new kinds of records do not count,
/// since an older tool skips them.
pub const FORMAT: u16 = 1;
