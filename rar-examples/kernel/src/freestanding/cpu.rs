//! The processor: control registers, descriptor tables, traps.

pub(crate) mod control;
pub(crate) mod interrupt_handlers;
pub(crate) mod ist_stacks;
pub(crate) mod msr;
pub mod probe;
pub(crate) mod tables;
mod trap;
pub(crate) mod trap_frame;
pub mod user_mode;
pub mod vector;
