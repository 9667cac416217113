//! Physical memory through the kernel's direct map, and the way back by the page tables that are
//! loaded.
#![expect(unsafe_code, reason = "reads and writes physical memory")]

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rar_model::PhysicalMemory;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const FRAME: u64 = 0x000f_ffff_ffff_f000;
const PAGE: u64 = 4096;
/// CR4.LA57.
const LA57: usize = 12;

/// Physical address `p` is mapped at `p + offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectMap {
    offset: u64,
}

impl DirectMap {
    /// # Safety
    ///
    /// Every address that [`physical`](Self::physical) finds mapped in the direct map is memory at
    /// that place, forever.
    pub(crate) const unsafe fn new(offset: u64) -> Self {
        Self { offset }
    }

    fn pointer<T>(self, physical: u64) -> *const T {
        let address = physical.wrapping_add(self.offset);
        core::ptr::with_exposed_provenance(usize::try_from(address).unwrap_or(0))
    }

    /// Returns how many levels the page tables that are loaded have.
    pub(crate) fn levels(self) -> u32 {
        // SAFETY: ring 0; reading control registers has no effect.
        let cr4 = unsafe { x86::controlregs::cr4() };
        if cr4.bits() >> LA57 & 1 != 0 { 5 } else { 4 }
    }

    /// Returns the physical address of a virtual one in the page tables that are loaded; `None` if
    /// it is not mapped.
    pub(crate) fn physical(self, address: u64) -> Option<u64> {
        // SAFETY: ring 0; reading control registers has no effect.
        let cr3 = unsafe { x86::controlregs::cr3() };
        walk(cr3, self.levels(), address, |entry| {
            // SAFETY: page tables are memory of the direct map, and entries are read whole.
            unsafe { &*self.pointer::<AtomicU64>(entry) }.load(Ordering::Acquire)
        })
    }

    /// Reads memory, at most to the end of its page.
    pub(crate) fn bytes(self, physical: u64, into: &mut [u8]) -> usize {
        let Some(page) = self.page(physical) else {
            return 0;
        };
        let bytes = (physical..).map_while(|at| page.byte(at));
        let mut length = 0;
        for (place, byte) in into.iter_mut().zip(bytes) {
            *place = byte.load(Ordering::Relaxed);
            length += 1;
        }
        length
    }

    /// Reads an aligned quadword; `None` where no memory is.
    pub(crate) fn quadword(self, physical: u64) -> Option<u64> {
        let page = self.page(physical)?;
        Some(page.quadword(physical)?.load(Ordering::Acquire))
    }

    /// Returns the page at a physical address, if there is memory behind the direct map.
    pub(crate) fn page(self, physical: u64) -> Option<MappedPage> {
        let start = physical & FRAME;
        let found = self.physical(start.wrapping_add(self.offset))?;
        (found == start).then_some(MappedPage { map: self, start })
    }
}

/// A page of memory that the direct map leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MappedPage {
    map: DirectMap,
    start: u64,
}

impl MappedPage {
    fn byte(&self, address: u64) -> Option<&AtomicU8> {
        let inside = address & !(PAGE - 1) == self.start;
        // SAFETY: inside the page, which is mapped; all CPUs reach it as atomics.
        inside.then(|| unsafe { &*self.map.pointer(address) })
    }

    fn quadword(&self, address: u64) -> Option<&AtomicU64> {
        let inside = address & !(PAGE - 1) == self.start && address.is_multiple_of(8);
        // SAFETY: as above, and aligned.
        inside.then(|| unsafe { &*self.map.pointer(address) })
    }
}

/// The two pages that a unit follows. Where there is no memory, nothing answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitMemory {
    pub(crate) vector: Option<MappedPage>,
    pub(crate) table: Option<MappedPage>,
}

impl UnitMemory {
    fn pages(&self) -> impl Iterator<Item = &MappedPage> {
        self.vector.iter().chain(&self.table)
    }
}

impl PhysicalMemory for UnitMemory {
    fn load_u8(&self, address: u64) -> u8 {
        self.pages()
            .find_map(|page| page.byte(address))
            .map_or(u8::MAX, |byte| byte.load(Ordering::Acquire))
    }

    fn store_u8(&self, address: u64, value: u8) {
        if let Some(byte) = self.pages().find_map(|page| page.byte(address)) {
            byte.store(value, Ordering::Release);
        }
    }

    fn load_u64(&self, address: u64) -> u64 {
        self.pages()
            .find_map(|page| page.quadword(address))
            .map_or(u64::MAX, |word| word.load(Ordering::Relaxed))
    }
}

/// Walks page tables; `read` reads the entry at a physical address.
pub(crate) fn walk(cr3: u64, levels: u32, address: u64, read: impl Fn(u64) -> u64) -> Option<u64> {
    let mut table = cr3 & FRAME;
    for level in (1..=levels).rev() {
        let shift = 12 + 9 * (level - 1);
        let entry = read(table + (address >> shift & 0x1ff) * 8);
        if entry & PRESENT == 0 {
            return None;
        }
        if level == 1 || (level <= 3 && entry & LARGE != 0) {
            let inside = (1 << shift) - 1;
            return Some((entry & FRAME & !inside) | (address & inside));
        }
        table = entry & FRAME;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: u64) -> u64 {
        match address {
            // Top entry 1 -> table 0x2000; its entry 2 -> 1 GiB page, entry 3 -> table 0x3000.
            0x1008 => 0x2001,
            0x2010 => 0x8000_0000 | 0x81,
            0x2018 => 0x3003,
            // 2 MiB page with NX, and a table with one 4 KiB page whose PAT bit (7) is set.
            0x3000 => 1 << 63 | 0x40_0000 | 0x81,
            0x3008 => 0x4001,
            0x4010 => 0x7000 | 0x81,
            _ => 0,
        }
    }

    #[test]
    fn pages_of_three_sizes_and_holes() {
        let at = |address| walk(0x1000 | 0xfff, 4, address, entry);
        let top = 1 << 39;
        assert_eq!(at(top + (2 << 30) + 0x1234_5678), Some(0x9234_5678));
        assert_eq!(at(top + (3 << 30) + 0x12_3456), Some(0x52_3456));
        assert_eq!(at(top + (3 << 30) + (1 << 21) + 0x2abc), Some(0x7abc));
        assert_eq!(at(top + (3 << 30) + (1 << 21) + 0x3000), None);
        assert_eq!(at(0), None);
        // A fifth level leads through entry 0 of the top table, which is empty.
        assert_eq!(walk(0x1000, 5, top, entry), None);
    }
}
