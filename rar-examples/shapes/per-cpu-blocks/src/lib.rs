//! A kernel that learns at boot how many CPUs there are, and allocates a zeroed block of memory for
//! each.
//!
//! - The CPU's [`PerCpu`] is a field of the kernel's own block, next to what else the CPU needs.
//! - The kernel's preemption guard is a [`CpuGuard`]: no second guard, no `unsafe` at a flush.
//! - Address spaces keep masks of the kernel's own type, as long as the machine needs. A flush
//!   reads their words.
//! - The kernel chooses a machine at boot: [`Machine`](rar_shootdown::Machine) is used as `dyn`.
//!
//! [`PerCpu`]: rar_shootdown::rar_percpu::PerCpu
//! [`CpuGuard`]: rar_shootdown::rar_percpu::CpuGuard
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod flush;
pub mod machine;
pub mod promises;
