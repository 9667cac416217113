#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

mod caption;
mod collection;
mod options;
mod tally;
mod words;

pub use caption::Caption;
pub use collection::{Collection, Happening};
pub use options::{Backend, Complaint, End, LEGAL, Options, Run, Stop};
pub use tally::{Counts, Finished, Name, Part, Tally, Verdict};
pub use words::Words;
