#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod by_loom;
pub mod by_qemu;
pub mod by_sim;
pub mod catch;
mod copy;
mod loom_models;
mod mutant;
pub mod patch;
pub mod patches;
pub mod races;
