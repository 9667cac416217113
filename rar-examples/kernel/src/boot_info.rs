//! What the boot loader says: command line, memory map, place of the ACPI tables.

mod framebuffer;
mod multiboot2;
mod pvh;

pub use framebuffer::{Channel, Display, Framebuffer, read_framebuffer};
pub use multiboot2::read_multiboot2;
pub use pvh::{PVH_MAGIC, read_pvh};

use crate::{CommandLine, MemoryMap, PhysicalMemory};

/// The number a multiboot2 loader leaves in EAX (Multiboot2 specification 2.0, "I386 machine state").
pub const MULTIBOOT2_MAGIC: u32 = 0x36D7_6289;

/// Where the root pointer of the ACPI tables was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rsdp {
    /// The loader names its physical address.
    At(u64),
    /// The loader hands over a copy; unused bytes are zero.
    Copy([u8; 36]),
}

/// What started the boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// Nobody said.
    Unknown,
    /// A BIOS.
    Bios,
    /// A UEFI firmware.
    Uefi,
}

/// The loader's information, copied so that its memory may be reused.
#[derive(Clone, Debug)]
pub struct BootInfo {
    /// The command line, cut at [`CommandLine::CAPACITY`] bytes.
    pub command_line: CommandLine,
    /// The memory map.
    pub memory: MemoryMap,
    /// The root of the ACPI tables, when the loader knows it.
    pub rsdp: Option<Rsdp>,
    /// What the loader left on, when it says.
    pub display: Option<Display>,
    /// What started the loader.
    pub firmware: Firmware,
    /// What the loader calls itself; empty if it does not say.
    pub loader: CommandLine,
}

impl BootInfo {
    /// Information of a loader that said nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            command_line: CommandLine::empty(),
            memory: MemoryMap::empty(),
            rsdp: None,
            display: None,
            firmware: Firmware::Unknown,
            loader: CommandLine::empty(),
        }
    }
}

/// Why the loader's information was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootInfoError {
    /// The number in EAX, or at the start of the PVH structure, belongs to no protocol known here.
    UnknownProtocol(u32),
    /// A structure does not lie in readable memory, or says a size it cannot have.
    Malformed {
        /// What was being read.
        what: &'static str,
        /// Its physical address.
        address: u64,
    },
    /// There is no memory map.
    NoMemoryMap,
}

impl core::fmt::Display for BootInfoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::UnknownProtocol(magic) => write!(
                f,
                "boot magic {magic:#x} is neither multiboot2 nor PVH: start the kernel with GRUB's multiboot2 or qemu -kernel"
            ),
            Self::Malformed { what, address } => write!(f, "{what} at {address:#x} is malformed"),
            Self::NoMemoryMap => write!(f, "the boot loader gave no memory map"),
        }
    }
}

impl core::error::Error for BootInfoError {}

/// Reads a little-endian number of up to eight bytes at `offset`.
pub(crate) fn number(bytes: &[u8], offset: usize, width: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(width)?)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0_u64, |value, &byte| (value << 8) | u64::from(byte)),
    )
}

/// Reads a little-endian 32-bit number at `offset`.
pub(crate) fn number32(bytes: &[u8], offset: usize) -> Option<u32> {
    u32::try_from(number(bytes, offset, 4)?).ok()
}

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
