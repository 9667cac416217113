//! The machine: CPUs with registers, RAR units, local APICs and TLBs, over one physical memory.

mod apic;
mod caches;
mod config;
mod cpu;
mod delivery;
mod driver_memory;
mod hardware;
mod kernel;
mod local_tlb;
mod lock;
mod memory;
mod mmu;
mod registers;
mod service;
mod walk;
mod walker;
mod watch;

pub use caches::{Caches, PageFault, Stored};
pub use config::{
    Addressing, Answering, Clock, Invlpg, MachineConfig, OddCommands, STEP, Service, steps,
};
pub use cpu::{Cpu, Vector};
pub use driver_memory::{ACTION_VECTORS, DriverMemory, PAYLOAD_TABLE};
pub use hardware::Machine;
pub use kernel::Member;
pub(crate) use lock::lock;
pub use memory::Memory;
pub use registers::Registers;
pub use watch::{Unwatched, Watch};
