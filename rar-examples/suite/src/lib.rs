#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct TheExamplesOfTheReadme;

mod assertions;
mod catalogue;
mod controls;
mod crash;
mod failure;
mod gaps;
mod judge;
mod measure;
mod modes;
mod options;
mod other_means;
mod platform;
pub mod questions;
mod raw;
mod record;
mod requests;
mod samples;
mod shared;
mod space;
mod suite;
mod test_info;
mod test_run;
mod tests;
mod unit_record;
mod units;
mod use_bit;
mod why;
mod witness;

pub use catalogue::{TESTS, test_named};
pub use crash::Crash;
pub use failure::reports_stale_use;
pub use judge::BY_OTHER_MEANS;
pub use modes::{Guest, UserMode};
pub use options::{List, MEASUREMENTS, Options};
pub use platform::{
    Access, DeafTo, FRAMES, Frame, LARGE_FRAMES, Mapping, PAGES, Page, PageFault, Platform, Scope,
    StoreKind,
};
pub use rar_vocabulary::{
    BUCKETS, Backend, Counts, Disturbances, Histogram, Measurement, Method, Outcome, Soak, State,
    payload_hash,
};
pub use record::{Control, MAX_CPUS, Record};
pub use samples::MOST_SAMPLES;
pub use space::Space;
pub use suite::Suite;
pub use test_info::{Detects, Rounds, TestInfo, UnitNeeds};
pub use unit_record::{Asked, ProtocolViolations};
pub use units::{
    Ability, Addresses, Destination, ENABLE, Executed, GeneralProtection, IGNORE_IF, LongString,
    OddCommand, RarUnits, Register,
};
pub use use_bit::UseBit;
pub use witness::{Sent, Witness};
