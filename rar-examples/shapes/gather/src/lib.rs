//! A kernel that gathers what it unmaps, and flushes once at the end (`mmu_gather`).
//!
//! - [`Gather`](rar_shootdown::rar_payload::Gather) merges neighbouring pages, and turns many pages
//!   into the whole space.
//! - The pages *and* the page tables that became empty belong to the flight, so neither is freed
//!   before its end.
//! - The CPUs of an address space are a mask behind a lock of the kernel's, read at the right
//!   moment through [`TargetFn`](rar_shootdown::TargetFn).
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod flush;
pub mod machine;
pub mod promises;
