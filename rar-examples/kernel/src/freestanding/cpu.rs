//! The processor: control registers, descriptor tables, traps.

mod control;
mod handlers;
mod msr;
pub mod probe;
mod tables;
mod trap;
pub(super) mod user;
pub mod vector;

pub(crate) use control::Control;
pub use handlers::{InterruptHandler, set_interrupt_handler};
pub(crate) use msr::{read_msr, write_msr};
pub use probe::PageFault;
pub(crate) use tables::{IstStacks, Tables, load_idt};
pub use trap::TrapFrame;
