//! What the boot loader says: command line, memory map, modules, place of the ACPI tables.

mod framebuffer;
mod info;
mod modules;
mod multiboot2;
mod pvh;
mod tags;

pub use framebuffer::{Display, Framebuffer, UnknownDisplay, read_framebuffer};
pub use info::{BootFaults, BootInfo, BootInfoError, Firmware, Rsdp};
pub use modules::{Module, Modules};
pub use multiboot2::read_multiboot2;
pub use pvh::{PVH_MAGIC, read_pvh};

use crate::PhysicalMemory;

/// The number a multiboot2 loader leaves in EAX (Multiboot2 specification 2.0, "I386 machine
/// state").
pub const MULTIBOOT2_MAGIC: u32 = 0x36d7_6289;

/// Reads the information of either protocol.
///
/// # Errors
///
/// Fails on an unknown magic number and on structures that cannot be.
pub fn read_boot_info(
    magic: u32,
    address: u64,
    memory: &impl PhysicalMemory,
    into: &mut BootInfo,
) -> Result<(), BootInfoError> {
    match magic {
        MULTIBOOT2_MAGIC => read_multiboot2(address, memory, into),
        PVH_MAGIC => read_pvh(address, memory, into),
        other => Err(BootInfoError::UnknownProtocol(other)),
    }
}
