#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod archive;
pub mod boot;
pub mod carrier_words;
mod case_judge;
pub mod case_run;
pub mod catalogue;
mod cpu_time;
pub mod debian;
pub mod iso;
pub mod judge;
pub mod linux;
mod linux_log;
pub mod machine;
mod memory_test;
pub mod module;
mod module_judge;
mod module_report;
pub mod payload;
mod pipes;
pub mod screen;
mod supplies;
pub mod terminal;
mod times;
pub mod trace_line;
pub mod trace_table;
pub mod trace_tally;
