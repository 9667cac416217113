//! What was found unsound or not live in a first version, and what must show that it is so no more.
//!
//! A test whose name begins with `finding_` and a number fails on that version, or did compile
//! there.
#![cfg(not(rar_loom))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod clocks;
mod dead;
mod deaf;
mod disagreement;
mod escalation;
mod forged;
mod life;
mod limits;
mod load;
mod owners;
mod refusals;
mod skipped;
mod world;
