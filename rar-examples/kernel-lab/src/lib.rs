#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

pub mod options;

pub use options::{RUN_ORDER, RunOptions, SoakRun};

// A test links the standard library, which has a panic handler and memory functions of its own.
#[cfg(all(feature = "freestanding", not(test)))]
mod freestanding;
#[cfg(all(feature = "freestanding", not(test)))]
pub use freestanding::*;
