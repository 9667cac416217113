//! The kernel's readers of boot information and tables, on right and on wrong bytes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod boot_info;
mod corpus;
mod facts;
mod machine;
mod memory;
mod mutated;
mod root_search;
