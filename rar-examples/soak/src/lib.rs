#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

mod accounts;
mod change;
mod choice;
mod cpu;
mod doing;
mod failure;
mod faults;
mod flush;
mod follower;
mod frames;
mod layout;
mod leader;
mod life;
mod options;
mod oracle;
mod order;
mod pauses;
mod plan;
mod random;
mod raw;
mod shared;
mod state;
mod storm;
mod tally;

pub use failure::Failure;
pub use life::{Life, Verdict};
pub use options::{Limit, SoakOptions};
