//! What the payload learns about the machine, besides memory.

use rar_kernel::{Display, MemoryMap};

/// What the payload learns about the machine, besides memory.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The root of the ACPI tables; bytes that an old one does not have are zero.
    pub rsdp: Option<[u8; 36]>,
    /// Where the root lies, if the loader says so.
    pub rsdp_address: Option<u64>,
    /// The screen.
    pub display: Option<Display>,
}

/// What a kernel is told by any protocol.
pub(crate) struct Told<'a> {
    pub(crate) line: &'a str,
    pub(crate) machine: &'a Machine,
    /// The guest's memory map.
    pub(crate) map: &'a MemoryMap,
}
