//! The kernel: everything that needs the machine to itself.

mod address;
pub mod apic;
mod boot;
pub mod clock;
pub mod console;
mod cpu;
mod critical;
pub mod exit;
pub mod frames;
mod identity;
pub mod irq;
pub mod lab;
mod log;
pub mod machine;
mod mem;
mod once;
pub mod paging;
mod panic;
pub mod percpu;
mod pic;
mod port;
mod red_zone;
pub mod screen;
pub mod smp;
mod spin;
pub mod unit;

pub use apic::LocalApic;
pub use boot::{Kernel, kernel};
pub use clock::{Clock, ClockSource};
pub use cpu::{InterruptHandler, PageFault, TrapFrame, probe, set_interrupt_handler, vector};
pub use exit::{ExitCode, exit};
pub use lab::KernelLab;
pub use machine::KernelMachine;
pub use once::Once;
pub use smp::Cpus;
pub use spin::SpinLock;
