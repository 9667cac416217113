#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod budget;
pub mod callgrind;
pub mod figures;
pub mod lines;
pub mod page;
pub mod plot;
pub mod table;
