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

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bytes::put;

    /// A kernel of 2 setup sectors and 4 KiB of code that wants 1 MiB at 16 MiB.
    pub(crate) fn bzimage() -> Vec<u8> {
        let mut file = vec![0; 3 * 512 + 4096];
        for (offset, bytes) in [
            (offset::SETUP_SECTORS, &[2][..]),
            (offset::SYSTEM_SIZE, &256_u32.to_le_bytes()),
            (offset::BOOT_FLAG, &BOOT_FLAG.to_le_bytes()),
            (offset::HEADER_END, &[0x6a]),
            (offset::MAGIC, &MAGIC),
            (offset::VERSION, &0x20f_u16.to_le_bytes()),
            (offset::LOAD_FLAGS, &[LOADED_HIGH]),
            (offset::INITRD_MOST, &0x7fff_ffff_u32.to_le_bytes()),
            (offset::ALIGNMENT, &0x20_0000_u32.to_le_bytes()),
            (offset::RELOCATABLE, &[1]),
            (offset::EXTENDED_LOAD_FLAGS, &0x7f_u16.to_le_bytes()),
            (offset::LINE_SIZE, &2047_u32.to_le_bytes()),
            (offset::PREFERRED, &0x100_0000_u64.to_le_bytes()),
            (offset::INIT_SIZE, &0x10_0000_u32.to_le_bytes()),
        ] {
            put(&mut file, offset, bytes);
        }
        file[3 * 512..].fill(0xcc);
        file
    }

    fn with(offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = bzimage();
        put(&mut file, offset, bytes);
        file
    }

    #[test]
    fn the_header_says_where_the_kernel_goes() {
        let file = bzimage();
        assert!(is_bzimage(&file));
        let image = BzImage::new(&file).unwrap();
        assert_eq!((image.offset, image.length), (3 * 512, 4096));
        assert_eq!((image.preferred, image.init_size), (16 << 20, 1 << 20));
        assert_eq!(image.alignment, 2 << 20);
        assert_eq!((image.initrd_limit, image.longest_line), (1 << 31, 2047));
        assert_eq!(image.header.len(), 0x202 + 0x6a - 0x1f1);
        let mut old = with(offset::SETUP_SECTORS, &[0]);
        old.extend([0; 1024]);
        let image = BzImage::new(&old).unwrap();
        assert_eq!(image.offset, 5 * 512, "0 sectors stand for 4");
    }

    #[test]
    fn what_cannot_be_entered_in_64_bit_mode_is_refused_with_the_reason() {
        for (offset, bytes, word) in [
            (offset::VERSION, &[0x0b, 2][..], "2.12"),
            (offset::LOAD_FLAGS, &[0], "zImage"),
            (offset::EXTENDED_LOAD_FLAGS, &[0, 0], "64-bit"),
        ] {
            let error = BzImage::new(&with(offset, bytes)).unwrap_err();
            assert!(matches!(error, PayloadError::Unsupported { .. }));
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(!is_bzimage(&with(offset::MAGIC, b"Hdrs")));
        assert!(!is_bzimage(&with(offset::BOOT_FLAG, &[0, 0])));
        assert!(!is_bzimage(&[]));
    }

    #[test]
    fn a_file_that_is_cut_is_malformed() {
        let file = bzimage();
        for length in [0x204, 0x263, 3 * 512, file.len() - 17] {
            let error = BzImage::new(&file[..length]).unwrap_err();
            assert!(matches!(error, PayloadError::Malformed { .. }), "{length}");
        }
        // The size is in 16 bytes: the last ones may be missing.
        let image = file[..file.len() - 15].to_vec();
        assert_eq!(BzImage::new(&image).unwrap().length, 4096 - 15);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(
            header in proptest::collection::vec(any::<u8>(), 0x80),
            length in 0_usize..6000,
        ) {
            let mut file = bzimage();
            file.truncate(length);
            put(&mut file, offset::SETUP_SECTORS, &header);
            let _ = BzImage::new(&file);
        }
    }
}
