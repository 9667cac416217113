#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod change;
pub mod corpus;
pub mod input;
pub mod search;
pub mod target;
mod targets;
pub mod watch;
