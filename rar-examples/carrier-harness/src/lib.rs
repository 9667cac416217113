#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod archive;
pub mod debian;
pub mod linux;
pub mod module;
pub mod trace_line;
pub mod trace_table;
pub mod trace_tally;
