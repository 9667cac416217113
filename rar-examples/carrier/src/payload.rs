//! What a payload is, and which way it is started.

use core::fmt;

use rar_kernel::MemoryMap;

use crate::elf_file::{ElfFile, is_elf};
use crate::error::PayloadError;
use crate::files::Files;
use crate::guest_ram::GuestRam;
use crate::handover::Handover;
use crate::linux::BzImage;
use crate::machine::{Machine, Told};
use crate::multiboot2::Header;
use crate::plan::Plan;
use crate::protocol::Protocol;
use crate::{linux, multiboot2, pvh};

/// A kernel of a kind that is known.
pub struct Payload<'a>(Kind<'a>);

enum Kind<'a> {
    /// A Linux kernel.
    Linux(BzImage<'a>),
    /// An ELF file with a multiboot2 header.
    Multiboot2(ElfFile<'a>, Header),
    /// An ELF file with this PVH entry.
    Pvh(ElfFile<'a>, u32),
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({})", self.protocol())
    }
}

impl<'a> Payload<'a> {
    /// Looks at a kernel. An ELF file that offers both protocols is started by multiboot2, unless
    /// `wanted` names one.
    ///
    /// # Errors
    ///
    /// [`PayloadError`]: the kernel is of no kind that is known, malformed, or does not offer what
    /// is wanted.
    pub fn new(kernel: &'a [u8], wanted: Option<Protocol>) -> Result<Self, PayloadError> {
        let offered = if linux::is_bzimage(kernel) {
            Kind::Linux(BzImage::new(kernel)?)
        } else if is_elf(kernel) {
            let file = ElfFile::new(kernel)?;
            let entry = file.pvh_entry();
            let header = match wanted {
                Some(Protocol::Pvh) => None,
                _ => Header::find(kernel)?,
            };
            match (header, entry) {
                (Some(header), _) => Kind::Multiboot2(file, header),
                (None, Some(entry)) => Kind::Pvh(file, entry),
                (None, None) if wanted == Some(Protocol::Pvh) => {
                    return Err(PayloadError::NotOffered(Protocol::Pvh));
                }
                (None, None) => {
                    return Err(PayloadError::Unsupported {
                        kind: "ELF file",
                        what: "it has neither a multiboot2 header in its first 32 KiB nor a PVH \
                               note (multiboot 1 is not offered)",
                    });
                }
            }
        } else {
            let mut first = [0; 4];
            for (to, from) in first.iter_mut().zip(kernel) {
                *to = *from;
            }
            return Err(PayloadError::Unknown { first });
        };
        let offered = Self(offered);
        match wanted {
            Some(wanted) if wanted != offered.protocol() => Err(PayloadError::NotOffered(wanted)),
            _ => Ok(offered),
        }
    }

    /// Returns the way in which it is started.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match self.0 {
            Kind::Linux(_) => Protocol::Linux,
            Kind::Multiboot2(..) => Protocol::Multiboot2,
            Kind::Pvh(..) => Protocol::Pvh,
        }
    }

    /// Plans where everything goes, and writes what the kernel is told into the handover. `map` is
    /// the memory map of the machine, `line` the kernel's command line.
    ///
    /// # Errors
    ///
    /// [`PayloadError`]: something does not fit.
    pub fn plan(
        &self,
        files: &Files<'_>,
        line: &str,
        machine: &Machine,
        map: &MemoryMap,
        ram: &mut GuestRam,
        handover: &mut Handover<'_>,
    ) -> Result<Plan, PayloadError> {
        let map = ram.map(map);
        match map.dropped() {
            0 => {}
            over => return Err(PayloadError::TooManyRegions { over }),
        }
        let tell = Told {
            line,
            machine,
            map: &map,
        };
        match &self.0 {
            Kind::Linux(image) => linux::plan(image, files, &tell, ram, handover),
            Kind::Multiboot2(file, header) => {
                multiboot2::plan(file, header, files, &tell, ram, handover)
            }
            Kind::Pvh(file, entry) => pvh::plan(file, *entry, files, &tell, ram, handover),
        }
    }
}
