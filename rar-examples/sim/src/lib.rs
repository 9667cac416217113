#![doc = include_str!("../README.md")]

pub mod defects;
pub mod history;
#[cfg(rar_observed)]
pub mod lines;
pub mod loss;
pub mod machine;
pub mod meter;
pub mod output_file;
pub mod page_tables;
pub mod platform;
pub mod schedule;
pub mod soak;
