#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod backend;
mod counts;
mod disturbances;
mod histogram;
mod measurement;
mod outcome;
mod payload_hash;
mod soak;
mod text;
mod trace_level;
mod unit_counters;
mod verdict;

pub use backend::{Backend, UnknownBackend};
pub use counts::Counts;
pub use disturbances::Disturbances;
pub use histogram::{BUCKETS, Histogram};
pub use measurement::{Measurement, Method, State};
pub use outcome::Outcome;
pub use payload_hash::payload_hash;
pub use soak::{
    SOAK_FAULTS, SOAK_OPERATIONS, Soak, SoakFault, SoakFaults, SoakFlushes, SoakOperation,
};
pub use text::Text;
pub use trace_level::TraceLevel;
pub use unit_counters::{
    COUNTER_LEAF, COUNTER_VERSION, ENTRY_LEAF, EntryKind, EntryVerdict, UnitCounter, entry_subleaf,
};
pub use verdict::{UnknownVerdict, Verdict};
