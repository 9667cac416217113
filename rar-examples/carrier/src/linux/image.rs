//! The setup header of a bzImage.

use crate::bytes::{field, u16_at, u32_at, u64_at};
use crate::error::PayloadError;

const KIND: &str = "Linux kernel";

/// Offsets in the file.
mod offset {
    pub(super) const SETUP_SECTORS: usize = 0x1f1;
    pub(super) const SYSTEM_SIZE: usize = 0x1f4;
    pub(super) const BOOT_FLAG: usize = 0x1fe;
    pub(super) const HEADER_END: usize = 0x201;
    pub(super) const MAGIC: usize = 0x202;
    pub(super) const VERSION: usize = 0x206;
    pub(super) const LOAD_FLAGS: usize = 0x211;
    pub(super) const INITRD_MOST: usize = 0x22c;
    pub(super) const ALIGNMENT: usize = 0x230;
    pub(super) const RELOCATABLE: usize = 0x234;
    pub(super) const EXTENDED_LOAD_FLAGS: usize = 0x236;
    pub(super) const LINE_SIZE: usize = 0x238;
    pub(super) const PREFERRED: usize = 0x258;
    pub(super) const INIT_SIZE: usize = 0x260;
}

const BOOT_FLAG: u16 = 0xaa55;
const MAGIC: [u8; 4] = *b"HdrS";
/// The first protocol with a 64-bit entry point that says so.
const VERSION: u16 = 0x020c;
const LOADED_HIGH: u8 = 1;
const HAS_64_BIT_ENTRY: u16 = 1;
const SECTOR: u64 = 512;
const PAGE: u64 = 4096;

/// A bzImage with a 64-bit entry point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BzImage<'a> {
    /// The setup header, as it goes into the boot parameters.
    pub(super) header: &'a [u8],
    /// Where the protected-mode part begins in the file.
    pub(super) offset: u64,
    /// Its length.
    pub(super) length: u64,
    /// Memory that the kernel needs from its first byte on.
    pub(super) init_size: u64,
    /// Where it prefers to be.
    pub(super) preferred: u64,
    pub(super) relocatable: bool,
    pub(super) alignment: u64,
    /// Where the initrd must end.
    pub(super) initrd_limit: u64,
    pub(super) longest_line: u64,
}

/// Returns whether the bytes begin as a Linux kernel for x86 does.
pub(crate) fn is_bzimage(bytes: &[u8]) -> bool {
    u16_at(bytes, offset::BOOT_FLAG) == Some(BOOT_FLAG)
        && field(bytes, offset::MAGIC) == Some(MAGIC)
}

impl<'a> BzImage<'a> {
    /// Reads the header.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let malformed = PayloadError::Malformed {
            kind: KIND,
            what: "setup header",
        };
        let refuse = |what| Err(PayloadError::Unsupported { kind: KIND, what });
        let byte = |offset: usize| bytes.get(offset).copied().ok_or(malformed);
        let half = |offset| u16_at(bytes, offset).ok_or(malformed);
        let word = |offset| u32_at(bytes, offset).map(u64::from).ok_or(malformed);
        if half(offset::VERSION)? < VERSION {
            return refuse("its boot protocol is older than 2.12 (Linux 3.8)");
        }
        if byte(offset::LOAD_FLAGS)? & LOADED_HIGH == 0 {
            return refuse("it is a zImage, which lies below 1 MiB");
        }
        if half(offset::EXTENDED_LOAD_FLAGS)? & HAS_64_BIT_ENTRY == 0 {
            return refuse("it has no 64-bit entry point; use a kernel for x86-64");
        }
        let sectors = match byte(offset::SETUP_SECTORS)? {
            0 => 4,
            sectors => u64::from(sectors),
        };
        let start = (sectors + 1) * SECTOR;
        // The file may have a signature behind the kernel.
        let length = word(offset::SYSTEM_SIZE)? * 16;
        let cut = PayloadError::Malformed {
            kind: KIND,
            what: "protected-mode part",
        };
        let there = (bytes.len() as u64).checked_sub(start).ok_or(cut)?;
        // The size is rounded up to 16 bytes.
        if length == 0 || length > there.next_multiple_of(16) {
            return Err(cut);
        }
        let header_end = offset::MAGIC + usize::from(byte(offset::HEADER_END)?);
        let header = bytes
            .get(offset::SETUP_SECTORS..header_end)
            .ok_or(malformed)?;
        let alignment = word(offset::ALIGNMENT)?;
        if !alignment.is_power_of_two() {
            return Err(malformed);
        }
        Ok(Self {
            header,
            offset: start,
            length: length.min(there),
            init_size: word(offset::INIT_SIZE)?.max(length),
            preferred: u64_at(bytes, offset::PREFERRED).ok_or(malformed)?,
            relocatable: byte(offset::RELOCATABLE)? != 0,
            alignment: alignment.max(PAGE),
            initrd_limit: word(offset::INITRD_MOST)? + 1,
            longest_line: word(offset::LINE_SIZE)?,
        })
    }
}
