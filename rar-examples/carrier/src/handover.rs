//! The block of memory in which the guest finds what is handed over: boot information, command
//! lines, page tables, segments.

use crate::bytes::put;
use crate::error::PayloadError;

const PAGE: u64 = 4096;
const LARGE_PAGE: u64 = 2 << 20;
const GIBIBYTES: u64 = 4;
const TABLE: u64 = 0b11;
const LARGE_LEAF: u64 = 0b1000_0011;

/// Descriptors of [`Handover::segments`], by selector: null, 32-bit code (8), 64-bit code (0x10),
/// data (0x18), a 32-bit task state segment (0x20).
const GDT: [u64; 5] = [
    0,
    0x00cf_9b00_0000_ffff,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x0000_8900_0000_0067,
];

/// The block, filled from its start.
#[derive(Debug)]
pub struct Handover<'m> {
    base: u64,
    bytes: &'m mut [u8],
    used: usize,
}

impl<'m> Handover<'m> {
    /// Returns an empty block: these bytes, which lie at that physical address.
    #[must_use]
    pub const fn new(base: u64, bytes: &'m mut [u8]) -> Self {
        Self {
            base,
            bytes,
            used: 0,
        }
    }

    /// Takes room, which is zero; returns its physical address.
    pub(crate) fn reserve(&mut self, length: usize, align: usize) -> Result<u64, PayloadError> {
        let no_room = PayloadError::NoRoom {
            what: "boot information in the handover",
            bytes: length as u64,
        };
        let start = self.used.next_multiple_of(align);
        let end = start.checked_add(length).ok_or(no_room)?;
        self.bytes.get_mut(start..end).ok_or(no_room)?.fill(0);
        self.used = end;
        Ok(self.base + start as u64)
    }

    /// Adds bytes; returns their physical address.
    pub(crate) fn add(&mut self, bytes: &[u8], align: usize) -> Result<u64, PayloadError> {
        let at = self.reserve(bytes.len(), align)?;
        self.write(at, bytes);
        Ok(at)
    }

    /// Adds a text with a zero behind it; returns its physical address.
    pub(crate) fn add_text(&mut self, text: &str) -> Result<u64, PayloadError> {
        let at = self.reserve(text.len() + 1, 1)?;
        self.write(at, text.as_bytes());
        Ok(at)
    }

    /// Writes into room that was taken before.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) {
        if let Some(offset) = at
            .checked_sub(self.base)
            .and_then(|offset| usize::try_from(offset).ok())
        {
            put(self.bytes, offset, bytes);
        }
    }

    /// Adds page tables that map the first 4 GiB one to one; returns what CR3 gets.
    ///
    /// # Errors
    ///
    /// The block is full.
    pub fn identity_map(&mut self) -> Result<u64, PayloadError> {
        let table = |handover: &mut Self| handover.reserve(4096, 4096);
        let (root, pointers) = (table(self)?, table(self)?);
        self.write(root, &(pointers | TABLE).to_le_bytes());
        for gibibyte in 0..GIBIBYTES {
            let directory = table(self)?;
            self.write(pointers + 8 * gibibyte, &(directory | TABLE).to_le_bytes());
            for entry in 0..PAGE / 8 {
                let address = (gibibyte << 30) + entry * LARGE_PAGE;
                self.write(directory + 8 * entry, &(address | LARGE_LEAF).to_le_bytes());
            }
        }
        Ok(root)
    }

    /// Adds a global descriptor table with flat segments; returns its address and its limit.
    ///
    /// # Errors
    ///
    /// The block is full.
    pub fn segments(&mut self) -> Result<(u64, u16), PayloadError> {
        let table = self.reserve(size_of_val(&GDT), 8)?;
        let mut descriptors = GDT;
        // The base of the task state segment, in three parts.
        let task = self.reserve(104, 8)?;
        let [.., last] = &mut descriptors;
        *last |= (task & 0xff_ffff) << 16 | (task >> 24 & 0xff) << 56;
        for (at, descriptor) in (table..).step_by(8).zip(descriptors) {
            self.write(at, &descriptor.to_le_bytes());
        }
        const LIMIT: u16 = 8 * 5 - 1;
        const _: () = assert!(LIMIT as usize + 1 == size_of_val(&GDT));
        Ok((table, LIMIT))
    }

    /// Adds a stack; returns its top, aligned to 16 bytes.
    ///
    /// # Errors
    ///
    /// The block is full.
    pub fn stack(&mut self) -> Result<u64, PayloadError> {
        const LENGTH: usize = 4096;
        Ok(self.reserve(LENGTH, 16)? + LENGTH as u64)
    }

    /// Adds code, or other bytes that must be aligned to 16; returns the address.
    ///
    /// # Errors
    ///
    /// The block is full.
    pub fn code(&mut self, bytes: &[u8]) -> Result<u64, PayloadError> {
        self.add(bytes, 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::u64_at;

    const BASE: u64 = 0x420_0000;

    #[test]
    fn room_is_aligned_zero_and_bounded() {
        let mut memory = vec![0xff; 64];
        let mut block = Handover::new(BASE, &mut memory);
        assert_eq!(block.add(&[1], 1), Ok(BASE));
        assert_eq!(block.add_text("ab"), Ok(BASE + 1));
        assert_eq!(block.reserve(8, 8), Ok(BASE + 8));
        assert_eq!(block.reserve(48, 16), Ok(BASE + 16));
        let full = block.reserve(1, 1).unwrap_err();
        assert!(matches!(full, PayloadError::NoRoom { bytes: 1, .. }));
        assert!(block.reserve(usize::MAX, 8).is_err());
        assert_eq!(memory[..9], [1, b'a', b'b', 0, 0xff, 0xff, 0xff, 0xff, 0]);
    }

    /// Walks the tables as a processor does.
    fn translate(memory: &[u8], root: u64, address: u64) -> Option<u64> {
        let read = |table: u64, index: u64| {
            let at = (table & !0xfff) + 8 * index - BASE;
            u64_at(memory, usize::try_from(at).unwrap()).filter(|entry| entry & 1 != 0)
        };
        let pointers = read(root, address >> 39 & 511)?;
        let directory = read(pointers, address >> 30 & 511)?;
        let leaf = read(directory, address >> 21 & 511)?;
        assert_eq!(leaf & 0x80, 0x80);
        Some((leaf & !0x1f_ffff) + (address & 0x1f_ffff))
    }

    #[test]
    fn four_gibibytes_are_mapped_one_to_one() {
        let mut memory = vec![0; 0x1_0000];
        let root = Handover::new(BASE, &mut memory).identity_map().unwrap();
        for address in [0, 0xfff, 0x20_0000, 0xfee0_0000, 0xffff_ffff, 1 << 30] {
            assert_eq!(translate(&memory, root, address), Some(address));
        }
        assert_eq!(translate(&memory, root, 1 << 32), None);
    }

    #[test]
    fn the_task_state_segment_has_its_base() {
        let mut memory = vec![0; 4096];
        let (table, limit) = Handover::new(BASE, &mut memory).segments().unwrap();
        assert_eq!((table, limit), (BASE, 39));
        let descriptor = u64_at(&memory, 0x20).unwrap();
        let base = descriptor >> 16 & 0xff_ffff | descriptor >> 56 << 24;
        assert_eq!(base, BASE + 40);
    }
}
