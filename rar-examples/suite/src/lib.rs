#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct TheExamplesOfTheReadme;

mod catalogue;
mod failure;
mod lab;
mod measure;
pub mod questions;
mod raw;
mod record;
mod suite;
mod test_info;
mod tests;
mod trial;
mod units;
mod witness;

pub use catalogue::{TESTS, test_named};
pub use failure::tells_of_stale_use;
pub use lab::{
    Access, Asked, FRAMES, Frame, Guest, Hearing, LARGE_FRAMES, Lab, Mapping, Offences, PAGES,
    Page, PageFault, Reach, Space, StoreKind, UserMode,
};
pub use measure::{MEASUREMENTS, MOST_SAMPLES};
pub use rar_vocabulary::{
    BUCKETS, Backend, Counts, Histogram, Measurement, Method, Outcome, State, payload_hash,
};
pub use record::{Control, MAX_CPUS, Record};
pub use suite::{BY_OTHER_MEANS, List, Options, Suite};
pub use test_info::{Detects, Rounds, TestInfo, UnitNeeds};
pub use units::{
    Ability, Addresses, Destination, ENABLE, Executed, GeneralProtection, IGNORE_IF, LongString,
    OddCommand, Register, Units,
};
pub use witness::{Sent, Witness};
