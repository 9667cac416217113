#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "numbers of initiators, targets, slots and flushes are below the model's few"
)]

mod candidates;
pub mod functions;
mod handler;
pub mod invariant;
mod life;
pub mod model;
pub mod mutant;
pub mod potential;
#[cfg(rar_observed)]
mod recorder;
pub mod reduction;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod search;
mod slots;
mod start;
pub mod state;
pub mod symmetry;
#[cfg(rar_observed)]
pub mod traces;
pub mod transition;
mod unit;
mod wait;
