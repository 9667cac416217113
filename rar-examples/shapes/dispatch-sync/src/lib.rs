//! A kernel whose flusher dispatches flushes, goes on, and waits for them later or not at all.
//!
//! - The flusher holds the guard that keeps it on its CPU; the flights it starts borrow neither.
//! - Frames are owned by their flight, from [`dispatch`](flush::TlbFlusher::dispatch) to its end.
//! - A flight without a waiter goes to a static queue, and a worker on any CPU polls it there.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod flush;
pub mod machine;
pub mod promises;
