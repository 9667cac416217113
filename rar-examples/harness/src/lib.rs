#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod cargo;
pub mod elf;
pub mod exit_code;
pub mod interrupt;
pub mod kernel;
pub mod parallel;
pub mod process;
pub mod progress;
pub mod text;
pub mod workspace;
