#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod archive;
pub mod boot;
pub mod carrier_words;
mod cpu_time;
pub mod debian;
pub mod judge;
pub mod linux;
pub mod machine;
pub mod module;
pub mod payload;
mod pipes;
pub mod screen;
pub mod terminal;
pub mod trace_line;
pub mod trace_table;
pub mod trace_tally;
