//! The memory of a guest, as far as the host knows it: where the bytes lie that are handed over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rar_firmware::{HandOver, HandedOver};
use rar_kernel::{MemoryMap, PhysicalMemory};

/// MiB of the guest's memory.
pub(super) const MEMORY: u32 = 256;
pub(super) const CPUS: u32 = 4;
/// Where the bytes lie: ACPI memory, in the middle, where SeaBIOS has no use for it.
pub(super) const REGION: u64 = 0x800_0000;
/// More than the longest table or boot information behind them can take.
const REGION_LENGTH: usize = 0x20_0000;
const TABLES_OFFSET: usize = 0x1000;
const INFORMATION_OFFSET: usize = 0x8000;
/// Where the information of multiboot2 lies.
pub(super) const INFORMATION: u64 = REGION + INFORMATION_OFFSET as u64;
/// What the identity map of the kernel's boot code reaches.
const BOOT_MAP_END: u64 = 1 << 32;
/// What the kernel maps one to one.
const IDENTITY_END: u64 = 1 << 39;
/// Longest that is read at once.
const LONGEST: usize = 1 << 20;
/// Where QEMU's q35 with 256 MiB has RAM that its firmware does not keep.
pub(super) const RAM: [(u64, u64); 2] = [(0, 0x9_fc00), (0x10_0000, 0xffd_f000)];

/// Returns what is handed over on this machine.
pub(super) fn hand_over(line: &str) -> HandOver {
    let region_end = REGION + REGION_LENGTH as u64;
    let [low, high] = RAM;
    HandOver {
        line: line.to_owned(),
        // As SeaBIOS says it, with the region cut out.
        ranges: vec![
            (low.0, low.1, 1),
            (low.1, 0x400, 2),
            (0xf_0000, 0x1_0000, 2),
            (high.0, REGION - high.0, 1),
            (REGION, REGION_LENGTH as u64, 3),
            (region_end, high.1 - region_end, 1),
            (high.1, 0x2_1000, 2),
            (0xb000_0000, 0x1000_0000, 2),
            (0xfed1_c000, 0x4000, 2),
            (0xfffc_0000, 0x4_0000, 2),
        ],
        cpus: CPUS,
        tables: REGION + TABLES_OFFSET as u64,
    }
}

/// The memory of a guest. Bytes that the host does not know read as zeroes, and their addresses are
/// kept.
pub(super) struct GuestMemory {
    region: Vec<u8>,
    /// Where zeroes begin in it.
    end: usize,
    zeroes: Vec<u8>,
    unknown: Mutex<Vec<u64>>,
    asked: AtomicU64,
}

impl GuestMemory {
    /// Puts the bytes where they belong; `start` is the code in front of them.
    pub(super) fn new(start: &[u8], handed: &HandedOver) -> Self {
        let mut region = vec![0; REGION_LENGTH];
        let parts = [
            (0, start),
            (INFORMATION_OFFSET, handed.information.as_slice()),
            (TABLES_OFFSET, handed.tables.whole()),
        ];
        let mut end = 0;
        for (at, bytes) in parts {
            end = end.max(at + bytes.len());
            let place = region.iter_mut().skip(at);
            place.zip(bytes).for_each(|(to, from)| *to = *from);
        }
        Self {
            region,
            end,
            zeroes: vec![0; LONGEST],
            unknown: Mutex::default(),
            asked: AtomicU64::new(0),
        }
    }

    /// Returns the bytes from [`REGION`] on, without the zeroes behind them.
    pub(super) fn loaded(&self) -> &[u8] {
        self.region.get(..self.end).unwrap_or(&[])
    }

    /// Returns the addresses that were read without being known, in order, each once.
    pub(super) fn unknown(&self) -> Vec<u64> {
        let unknown = self.unknown.lock();
        let mut unknown = unknown.unwrap_or_else(PoisonError::into_inner).clone();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Returns how many bytes were asked for.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.asked.fetch_add(length as u64, Ordering::Relaxed);
        let known = address.checked_sub(REGION).and_then(|start| {
            let start = usize::try_from(start).ok()?;
            self.region.get(start..start.checked_add(length)?)
        });
        if known.is_none() {
            let unknown = self.unknown.lock();
            unknown
                .unwrap_or_else(PoisonError::into_inner)
                .push(address);
        }
        known.or_else(|| self.zeroes.get(..length))
    }
}

/// As the boot code of the kernel maps memory.
pub(super) struct BootView<'m>(pub(super) &'m GuestMemory);

impl PhysicalMemory for BootView<'_> {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let end = address.checked_add(length as u64)?;
        let mapped = address != 0 && end <= BOOT_MAP_END;
        mapped.then(|| self.0.read(address, length)).flatten()
    }
}

/// As the kernel maps what only a table vouches for.
pub(super) struct TableView<'m>(pub(super) &'m GuestMemory, pub(super) &'m MemoryMap);

impl PhysicalMemory for TableView<'_> {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let Self(memory, map) = self;
        let end = address.checked_add(length as u64)?;
        // Page 0 is not mapped.
        let reached = address >= 0x1000 && end <= IDENTITY_END;
        let there = reached && map.may_have_tables(address, length as u64);
        there.then(|| memory.read(address, length)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_and_the_rest_is_kept() {
        let memory = GuestMemory::new(&[1, 2], &hand_over("").with(&[]));
        assert_eq!(memory.read(REGION, 3), Some(&[1, 2, 0][..]));
        assert!(memory.unknown().is_empty());
        assert_eq!(memory.read(REGION - 1, 2), Some(&[0, 0][..]));
        assert_eq!(memory.unknown(), [REGION - 1]);
        assert_eq!(memory.read(REGION - 1, LONGEST + 1), None);
        let tables = memory.read(REGION + TABLES_OFFSET as u64, 8);
        assert_eq!(tables, Some(&b"RSD PTR "[..]));
        assert!(memory.loaded().len() > INFORMATION_OFFSET);
        assert_eq!(BootView(&memory).bytes(0, 1), None);
        assert_eq!(BootView(&memory).bytes(u64::MAX, 1), None);
    }
}
