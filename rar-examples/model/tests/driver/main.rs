//! The driver crates by their hardware path, against the model of the unit: each could disprove the other.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

#[path = "../driver_machine/mod.rs"]
mod driver_machine;

mod bring_up;
