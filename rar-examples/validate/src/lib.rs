#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

mod options;
mod tally;

pub use options::{Backend, Complaint, End, LEGAL, Options, Run, Stop};
pub use tally::{Counts, Finished, Name, Part, Tally, Verdict};
