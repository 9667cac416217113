#![doc = include_str!("../README.md")]

pub mod defects;
pub mod history;
pub mod lab;
pub mod machine;
pub mod meter;
pub mod page_tables;
pub mod schedule;
