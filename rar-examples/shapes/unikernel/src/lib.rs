//! A unikernel: kernel and application share one address space in the lower half, without PCIDs.
//!
//! - Everything is one `static`; a set of CPUs is one word, room for 64.
//! - Every flush goes to all CPUs that are online. There is only one address space.
//! - The kernel's own pages are in the lower half. [`LazySkip::Nothing`], the default of the
//!   policy, skips no idle CPU.
//!
//! [`LazySkip::Nothing`]: rar_shootdown::LazySkip::Nothing
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod flush;
pub mod promises;
