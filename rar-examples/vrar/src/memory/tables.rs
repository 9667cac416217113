//! Page tables from a fixed supply: entries are set one by one, and larger pages split on the way.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::memory::direct_map::walk;

const ENTRIES: usize = 512;
const PRESENT: u64 = 1;
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// Present, writable, and not for users.
pub(crate) const OWN: u64 = 0b011;
/// Present, writable, user: every access of a guest counts as one of a user in nested tables.
pub(crate) const OPEN: u64 = 0b111;
/// No cache, by the type that every page attribute table gives this.
pub(crate) const UNCACHED: u64 = 0b11 << 3;
const LARGE: u64 = 1 << 7;

/// Sizes of pages, by the level of their entry.
pub(crate) const PAGE: u64 = 1 << 12;
pub(crate) const GIBIBYTE: u64 = 1 << 30;

/// The largest page that the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LargestPage {
    Mebibytes2,
    Gibibyte,
}

impl LargestPage {
    const fn level(self) -> u32 {
        match self {
            Self::Mebibytes2 => 2,
            Self::Gibibyte => 3,
        }
    }
}

/// There are no more tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
#[repr(C, align(4096))]
struct Table([AtomicU64; ENTRIES]);

/// A supply of `N` tables; the first is the top.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Tables<const N: usize> {
    tables: [Table; N],
    /// Their physical addresses.
    places: [AtomicU64; N],
    used: AtomicU64,
    levels: AtomicU64,
}

impl<const N: usize> Tables<N> {
    pub(crate) const fn new() -> Self {
        Self {
            tables: [const { Table([const { AtomicU64::new(0) }; ENTRIES]) }; N],
            places: [const { AtomicU64::new(0) }; N],
            used: AtomicU64::new(0),
            levels: AtomicU64::new(0),
        }
    }

    /// Makes the tables empty, with this many levels. `physical` tells where they lie.
    ///
    /// # Errors
    ///
    /// The virtual address of a table that has no physical one.
    pub(crate) fn begin(
        &self,
        levels: u32,
        physical: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), u64> {
        for (table, place) in self.tables.iter().zip(&self.places) {
            let address = core::ptr::from_ref(table).addr() as u64;
            place.store(physical(address).ok_or(address)?, Ordering::Relaxed);
            table
                .0
                .iter()
                .for_each(|entry| entry.store(0, Ordering::Relaxed));
        }
        self.used.store(1, Ordering::Relaxed);
        self.levels.store(u64::from(levels), Ordering::Relaxed);
        Ok(())
    }

    /// Returns the physical address of the top table.
    pub(crate) fn top(&self) -> u64 {
        self.places
            .first()
            .map_or(0, |top| top.load(Ordering::Relaxed))
    }

    /// Returns the physical address of each table.
    pub(crate) fn places(&self) -> impl Iterator<Item = u64> {
        self.places
            .iter()
            .map(|place| place.load(Ordering::Relaxed))
    }

    /// Maps physical memory from 0 on at `start`, a multiple of 1 GiB: `count` times 1 GiB, in the
    /// largest pages.
    pub(crate) fn map_gibibytes(
        &self,
        start: u64,
        count: u64,
        largest: LargestPage,
        flags: u64,
    ) -> Result<(), Full> {
        let level = largest.level();
        let size = size_at(level);
        (0..count * (GIBIBYTE / size)).try_for_each(|number| {
            let physical = number * size;
            self.set(
                start.wrapping_add(physical),
                level,
                physical | flags | LARGE,
            )
        })
    }

    /// Maps one page of 4 KiB.
    pub(crate) fn map_page(&self, address: u64, physical: u64, flags: u64) -> Result<(), Full> {
        self.set(address, 1, physical | flags)
    }

    /// Takes away every page of 4 KiB that the range touches.
    pub(crate) fn unmap(&self, addresses: &Range<u64>) -> Result<(), Full> {
        let mut at = addresses.start & !(PAGE - 1);
        while at < addresses.end {
            // The largest piece that begins here and does not reach beyond the range.
            let fits = |level: &u32| {
                let size = size_at(*level);
                at.is_multiple_of(size) && addresses.end - at >= size
            };
            let level = [3, 2].into_iter().find(fits).unwrap_or(1);
            self.set(at, level, 0)?;
            at += size_at(level);
        }
        Ok(())
    }

    /// Returns where an address leads.
    pub(crate) fn find(&self, address: u64) -> Option<u64> {
        let levels = u32::try_from(self.levels.load(Ordering::Relaxed)).ok()?;
        walk(self.top(), levels, address, |entry| {
            let number = usize::try_from(entry / 8 % ENTRIES as u64).unwrap_or(0);
            self.table_at(entry & FRAME)
                .and_then(|table| table.0.get(number))
                .map_or(0, |entry| entry.load(Ordering::Relaxed))
        })
    }

    /// Sets the entry of an address on a level, and makes what leads to it.
    fn set(&self, address: u64, level: u32, value: u64) -> Result<(), Full> {
        let levels = u32::try_from(self.levels.load(Ordering::Relaxed)).unwrap_or(0);
        let mut table = self.tables.first().ok_or(Full)?;
        for above in (level + 1..=levels).rev() {
            let entry = table.entry(address, above).ok_or(Full)?;
            let found = entry.load(Ordering::Relaxed);
            table = if found & PRESENT != 0 && (above > 3 || found & LARGE == 0) {
                self.table_at(found & FRAME).ok_or(Full)?
            } else if found & PRESENT == 0 && value == 0 {
                return Ok(());
            } else {
                let (below, place) = self.take()?;
                below.fill(found, above - 1);
                entry.store(place | OPEN, Ordering::Release);
                below
            };
        }
        let entry = table.entry(address, level).ok_or(Full)?;
        entry.store(value, Ordering::Release);
        Ok(())
    }

    fn take(&self) -> Result<(&Table, u64), Full> {
        let number = self.used.load(Ordering::Relaxed);
        let index = usize::try_from(number).map_err(|_| Full)?;
        let (table, place) = self
            .tables
            .get(index)
            .zip(self.places.get(index))
            .ok_or(Full)?;
        self.used.store(number + 1, Ordering::Relaxed);
        Ok((table, place.load(Ordering::Relaxed)))
    }

    fn table_at(&self, physical: u64) -> Option<&Table> {
        let mut all = self.tables.iter().zip(&self.places);
        let found = all.find(|(_, place)| place.load(Ordering::Relaxed) == physical);
        found.map(|(table, _)| table)
    }
}

impl Table {
    fn entry(&self, address: u64, level: u32) -> Option<&AtomicU64> {
        let number = address / size_at(level) % ENTRIES as u64;
        self.0.get(usize::try_from(number).ok()?)
    }

    /// Fills in what a large page was, in pages of this level; nothing for an entry that was empty.
    fn fill(&self, large: u64, level: u32) {
        if large & PRESENT == 0 {
            return;
        }
        let kept = if level == 1 { large & !LARGE } else { large };
        for (entry, number) in self.0.iter().zip(0_u64..) {
            entry.store(kept + number * size_at(level), Ordering::Relaxed);
        }
    }
}

/// Returns the size of what an entry of this level covers.
const fn size_at(level: u32) -> u64 {
    PAGE << (9 * (level - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(levels: u32) -> Box<Tables<12>> {
        let tables = Box::new(Tables::new());
        // Where they lie does not matter, so they lie at their addresses.
        tables.begin(levels, Some).unwrap();
        tables
    }

    #[test]
    fn large_pages_split_and_the_rest_stays() {
        let pages = [LargestPage::Gibibyte, LargestPage::Mebibytes2];
        for (levels, largest) in [4, 5]
            .into_iter()
            .flat_map(|each| pages.map(|page| (each, page)))
        {
            let tables = tables(levels);
            let top = 0xffff_8880_0000_0000_u64;
            tables.map_gibibytes(top, 4, largest, OWN).unwrap();
            assert_eq!(tables.find(top + 0x1234_5678), Some(0x1234_5678));
            tables.map_page(top + 0x20_3000, 0x7000, OWN).unwrap();
            tables.unmap(&(top + 0x80_0000..top + 0xc0_1000)).unwrap();
            for (offset, expected) in [
                (0, Some(0)),
                (0x20_2fff, Some(0x20_2fff)),
                (0x20_3abc, Some(0x7abc)),
                (0x20_4000, Some(0x20_4000)),
                (0x7f_ffff, Some(0x7f_ffff)),
                (0x80_0000, None),
                (0xbf_ffff, None),
                (0xc0_0fff, None),
                (0xc0_1000, Some(0xc0_1000)),
                (GIBIBYTE, Some(GIBIBYTE)),
                (4 * GIBIBYTE - 1, Some(4 * GIBIBYTE - 1)),
                (4 * GIBIBYTE, None),
            ] {
                assert_eq!(tables.find(top + offset), expected, "{levels} {offset:#x}");
            }
            // One table for each level, two pages of 2 MiB that were split, and without pages of
            // 1 GiB a table for each.
            let more = match largest {
                LargestPage::Gibibyte => 1,
                LargestPage::Mebibytes2 => 4,
            };
            let used = tables.used.load(Ordering::Relaxed);
            assert_eq!(used, u64::from(levels) + more, "{levels} {largest:?}");
            assert_eq!(
                has_entries_of_1_gib(&tables, top),
                largest == LargestPage::Gibibyte
            );
        }
    }

    /// Returns whether the second gigabyte is one page.
    fn has_entries_of_1_gib(tables: &Tables<12>, top: u64) -> bool {
        let levels = u32::try_from(tables.levels.load(Ordering::Relaxed)).unwrap();
        let pointers = (4..=levels).rev().fold(&tables.tables[0], |table, level| {
            let entry = table.entry(top, level).unwrap().load(Ordering::Relaxed);
            tables.table_at(entry & FRAME).unwrap()
        });
        let entry = pointers.entry(top + GIBIBYTE, 3).unwrap();
        entry.load(Ordering::Relaxed) & LARGE != 0
    }

    #[test]
    fn a_page_that_the_range_only_touches_goes_whole() {
        let tables = tables(4);
        tables
            .map_gibibytes(0, 1, LargestPage::Gibibyte, OPEN)
            .unwrap();
        tables.unmap(&(0x1800..0x2001)).unwrap();
        let seen = [0xfff, 0x1000, 0x2fff, 0x3000].map(|at| tables.find(at).is_some());
        assert_eq!(seen, [true, false, false, true]);
    }

    #[test]
    fn the_supply_ends() {
        let tables = tables(4);
        let mapped = (0..20).map(|number| tables.map_page(number << 39, 0, OPEN));
        assert_eq!(mapped.filter(Result::is_ok).count(), 3);
        let nowhere = Tables::<2>::new().begin(4, |_| None);
        assert!(nowhere.is_err());
    }
}
