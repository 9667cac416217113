//! The hardware path of the driver crates against the model of the unit. Each could disprove the
//! other.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod bring_up;
mod decode;
mod disagreement;
mod faults;
mod interrupts;
mod kinds;
mod offline;
mod page_counts;
mod page_tables;
mod responder;
mod rig;
mod scene;
mod slots;
mod stuck;
mod suspend;
mod threads;
