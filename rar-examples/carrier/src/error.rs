//! Why a payload cannot be booted.

use core::fmt;

use crate::archive::ArchiveError;
use crate::protocol::Protocol;

/// Why a payload cannot be booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// There is no kernel.
    Missing,
    /// A file that the loader has put beside the carrier cannot be read.
    Unreadable {
        /// The first byte.
        start: u64,
        /// The first byte after the file.
        end: u64,
    },
    /// The archive with the payload is malformed.
    Archive(ArchiveError),
    /// The archive has more than one kernel.
    TwoKernels,
    /// The file is of no kind that is known here.
    Unknown {
        /// Its first bytes.
        first: [u8; 4],
    },
    /// The file does not offer the protocol that was asked for.
    NotOffered(Protocol),
    /// The file is of a known kind, but cannot be booted.
    Unsupported {
        /// Its kind.
        kind: &'static str,
        /// What it has or lacks.
        what: &'static str,
    },
    /// The file is shorter than it says, or contradicts itself.
    Malformed {
        /// Its kind.
        kind: &'static str,
        /// What was read.
        what: &'static str,
    },
    /// The command line is longer than the kernel takes.
    LongLine {
        /// Its length.
        got: u64,
        /// The longest that the kernel takes.
        most: u64,
    },
    /// The file wants to lie where the guest has no RAM.
    NotRam {
        /// The first byte.
        start: u64,
        /// The first byte after the range.
        end: u64,
    },
    /// There is no free memory of this size.
    NoRoom {
        /// What for.
        what: &'static str,
        /// How much.
        bytes: u64,
    },
    /// The guest's memory map has more regions than fit.
    TooManyRegions {
        /// How many more.
        over: usize,
    },
    /// The payload has more parts than fit.
    TooManyParts,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("payload: ")?;
        match *self {
            Self::Missing => f.write_str(
                "there is no kernel; give QEMU a pack as -initrd (`cargo xtask carry` makes one), \
                 or GRUB a kernel by module2",
            ),
            Self::Unreadable { start, end } => write!(
                f,
                "the loader has put a file to {start:#x} to {end:#x}, where it cannot be read \
                 (expected RAM below 512 GiB)"
            ),
            Self::Archive(error) => error.fmt(f),
            Self::TwoKernels => f.write_str(
                "two files of the archive are named `kernel` (expected one); pack it again",
            ),
            Self::Unknown { first } => write!(
                f,
                "unknown kind of file (got a file that begins with {first:02x?}, expected a Linux \
                 bzImage, or an ELF file with a multiboot2 header or a PVH note)"
            ),
            Self::NotOffered(protocol) => write!(
                f,
                "the file does not offer protocol={protocol}; leave the option away to take what \
                 it offers"
            ),
            Self::Unsupported { kind, what } => write!(f, "this {kind} cannot be booted: {what}"),
            Self::Malformed { kind, what } => {
                write!(f, "the {kind} is malformed or cut short at its {what}")
            }
            Self::LongLine { got, most } => write!(
                f,
                "the command line is too long (got {got} bytes, expected at most {most}); \
                 shorten it"
            ),
            Self::NotRam { start, end } => write!(
                f,
                "it is linked to {start:#x} to {end:#x}, where the guest has no RAM; give the \
                 machine more memory, or link it elsewhere"
            ),
            Self::NoRoom { what, bytes } => write!(
                f,
                "no room for {what} (expected {} KiB of free memory in a row, below 4 GiB); give \
                 the machine more memory (QEMU: -m 512M)",
                bytes.div_ceil(1024)
            ),
            Self::TooManyRegions { over } => write!(
                f,
                "the memory map of the machine is in too many pieces (got {over} more than fit), \
                 and the kernel would not know all of it; start with another firmware"
            ),
            Self::TooManyParts => f.write_str("it has more segments and modules than fit"),
        }
    }
}

impl core::error::Error for PayloadError {}

impl From<ArchiveError> for PayloadError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}
