#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod command;
pub mod excuses;
pub mod figures;
pub mod kept;
pub mod mutant;
pub mod outcomes;
pub mod page;
pub mod plan;
pub mod run;
pub mod tool;
