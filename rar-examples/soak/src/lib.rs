#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

mod accounts;
mod change;
mod choice;
mod collapse;
mod cpu;
mod doing;
mod failure;
mod faults;
mod flush;
mod follower;
mod frames;
mod free_pcids;
mod large_page;
mod layout;
mod leader;
mod life;
mod mood;
mod named;
mod options;
mod oracle;
mod order;
mod pauses;
mod pcids;
mod plan;
mod random;
mod raw;
mod refusal;
mod requests;
mod scheduler;
mod shared;
mod state;
mod storm;
mod tally;
mod thread;
mod victim;

pub use failure::Failure;
pub use life::{Life, Verdict};
pub use options::{Limit, SoakOptions};
