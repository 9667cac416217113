//! A small machine in software, for stub kernels: what a real one has in hardware or in its own
//! basics.
//!
//! Every CPU has a TLB that keeps a translation until it is told to drop it, and an interrupt line.
//! With the feature `fake`, threads of the host play the CPUs.
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "fake")]
extern crate std;

mod cpu;
#[cfg(feature = "fake")]
pub mod fake;
mod lock;
mod memory;
mod tlb;

pub use cpu::{
    CLOCK_STEP_AT_START, CPUS, gs_base, now, send_interrupts, set_clock_step, set_gs_base,
    take_interrupt, this_cpu,
};
pub use lock::{Locked, SpinLock};
pub use memory::{Frame, PAGE, PageTable};
pub use tlb::{Tlb, cached, read};
