#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod page;
pub mod plan;
pub mod report;
pub mod run;
pub mod slice;
pub mod table;
pub mod verdict;
