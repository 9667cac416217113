//! A kernel that runs with interrupts disabled and flushes in `Drop`, with the lock of the address
//! space held.
//!
//! - `Drop` reports no error: a flush that does not end leaks its frames and reports it to the
//!   machine.
//! - A CPU that spins for a lock serves flushes, or two CPUs with interrupts disabled would wait
//!   for each other.
//! - Nothing is allocated: the flusher holds a fixed number of frames and flushes when it is full.
#![no_std]
#![deny(unsafe_code)]

pub mod flush;
pub mod machine;
pub mod promises;
