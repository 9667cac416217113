//! What either protocol says.

use super::framebuffer::{Display, UnknownDisplay};
use super::modules::Modules;
use crate::{CommandLine, MemoryMap};

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
    /// The loader does not say.
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
    /// The files that the loader has put beside the kernel.
    pub modules: Modules,
    /// The root of the ACPI tables, when the loader names it.
    pub rsdp: Option<Rsdp>,
    /// What the loader left on, when it says.
    pub display: Option<Display>,
    /// What the loader left on where nothing here can write on it.
    pub unknown_display: Option<UnknownDisplay>,
    /// What started the loader.
    pub firmware: Firmware,
    /// What the loader calls itself; empty if it does not say.
    pub loader: CommandLine,
    /// What is wrong with the information, and was passed over.
    pub faults: BootFaults,
}

impl BootInfo {
    /// Information of a loader that said nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            command_line: CommandLine::empty(),
            memory: MemoryMap::empty(),
            modules: Modules::empty(),
            rsdp: None,
            display: None,
            unknown_display: None,
            firmware: Firmware::Unknown,
            loader: CommandLine::empty(),
            faults: BootFaults::NONE,
        }
    }

    /// Undoes what only kexec does: it puts the kernel's path before the options, and says nothing
    /// of UEFI.
    pub(super) fn forgive_kexec(&mut self) {
        if self.loader.as_str().starts_with("kexec") {
            self.command_line.drop_first_word();
            self.firmware = Firmware::Unknown;
        }
    }
}

/// What is wrong with the loader's information, and was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootFaults {
    first: Option<BootInfoError>,
    count: usize,
}

impl BootFaults {
    /// Nothing is wrong.
    pub const NONE: Self = Self {
        first: None,
        count: 0,
    };

    /// Adds a fault. The first is kept, all are counted.
    pub fn add(&mut self, fault: BootInfoError) {
        self.first.get_or_insert(fault);
        self.count += 1;
    }

    /// Returns how many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }
}

impl core::fmt::Display for BootFaults {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.first, self.count) {
            (None, _) => f.write_str("boot information: no fault"),
            (Some(first), 1) => write!(f, "boot information: {first}; what can be read is read"),
            (Some(first), count) => write!(
                f,
                "boot information: {first}, and {} more faults; what can be read is read",
                count - 1
            ),
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
                "boot magic {magic:#x} is neither multiboot2 nor PVH: \
                 start the kernel with GRUB's multiboot2 or qemu -kernel"
            ),
            Self::Malformed { what, address } => write!(f, "{what} at {address:#x} is malformed"),
            Self::NoMemoryMap => write!(f, "the boot loader gave no memory map"),
        }
    }
}

impl core::error::Error for BootInfoError {}
