//! The nested page tables: all memory one to one, except the page of the local APIC.

use core::sync::atomic::{AtomicU64, Ordering};

const ENTRIES: usize = 512;
const GIBIBYTE: u64 = 1 << 30;
const LARGE_PAGE: u64 = 1 << 21;
const PAGE: u64 = 1 << 12;
/// Present, writable, user: every access of a guest counts as one of a user here.
const OPEN: u64 = 0b111;
const LARGE: u64 = 1 << 7;

type Table = [AtomicU64; ENTRIES];

/// Four tables: the top, its first entry in pages of 1 GiB, and the APIC's surroundings in smaller
/// ones.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct NestedTables {
    tables: [Table; 4],
}

/// How many there are; they reach 512 GiB.
pub(crate) const TABLES: usize = 4;

impl NestedTables {
    pub(crate) const fn new() -> Self {
        Self {
            tables: [const { [const { AtomicU64::new(0) }; ENTRIES] }; TABLES],
        }
    }

    /// Returns the address of each table.
    pub(crate) fn addresses(&self) -> [usize; TABLES] {
        self.tables
            .each_ref()
            .map(|table| core::ptr::from_ref(table).addr())
    }

    /// Fills the tables in; every CPU does, with the same values. `physical` are the tables' own
    /// addresses.
    pub(crate) fn fill(&self, physical: [u64; TABLES], apic: u64) {
        let [top, gibibytes, large, small] = &self.tables;
        let [_, gibibytes_at, large_at, small_at] = physical;
        set(top, 0, gibibytes_at | OPEN);
        for (number, offset) in (0..ENTRIES).zip(0_u64..) {
            set(gibibytes, number, (offset * GIBIBYTE) | OPEN | LARGE);
        }
        let around = apic & !(GIBIBYTE - 1);
        set(gibibytes, index(apic, GIBIBYTE), large_at | OPEN);
        for (number, offset) in (0..ENTRIES).zip(0_u64..) {
            set(large, number, (around + offset * LARGE_PAGE) | OPEN | LARGE);
        }
        let around = apic & !(LARGE_PAGE - 1);
        set(large, index(apic, LARGE_PAGE), small_at | OPEN);
        for (number, offset) in (0..ENTRIES).zip(0_u64..) {
            set(small, number, (around + offset * PAGE) | OPEN);
        }
        set(small, index(apic, PAGE), 0);
    }
}

fn index(address: u64, size: u64) -> usize {
    usize::try_from(address / size % ENTRIES as u64).unwrap_or(0)
}

fn set(table: &Table, number: usize, value: u64) {
    if let Some(entry) = table.get(number) {
        entry.store(value, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_but_the_apic() {
        let tables = NestedTables::new();
        let physical = [0x1000, 0x2000, 0x3000, 0x4000];
        tables.fill(physical, 0xfee0_0000);
        let read = |address: u64| {
            let table = physical
                .iter()
                .position(|at| *at == address & !0xfff)
                .unwrap();
            let number = usize::try_from(address & 0xfff).unwrap() / 8;
            tables.tables[table][number].load(Ordering::Relaxed)
        };
        let at = |address| crate::direct_map::walk(0x1000, 4, address, read);
        for address in [
            0,
            0x12_3456,
            0xfec0_0000,
            0xfedf_ffff,
            0xfee0_1000,
            0xffff_ffff,
            0x7f_ffff_ffff,
        ] {
            assert_eq!(at(address), Some(address), "{address:#x}");
        }
        for address in [0xfee0_0000, 0xfee0_0fff, 1 << 39] {
            assert_eq!(at(address), None, "{address:#x}");
        }
    }
}
