//! What the map knows about an address.

use super::MemoryMap;

const FIRST_MEBIBYTE: u64 = 1 << 20;

impl MemoryMap {
    /// Returns whether the address lies in RAM, free or not.
    #[must_use]
    pub fn is_ram(&self, address: u64) -> bool {
        let mut ranges = self.regions().iter();
        ranges.any(|region| region.kind.is_ram() && (region.start..region.end).contains(&address))
    }

    /// Returns whether a byte from `start` up to `end` lies in RAM, free or not.
    #[must_use]
    pub fn has_ram(&self, start: u64, end: u64) -> bool {
        let mut ram = self.regions().iter().filter(|region| region.kind.is_ram());
        ram.any(|region| region.start < end && start < region.end)
    }

    /// Returns whether tables of the firmware may lie there: in a region of any kind, or below
    /// 1 MiB, where loaders leave regions out. Elsewhere may be the registers of a device.
    #[must_use]
    pub fn may_have_tables(&self, address: u64, length: u64) -> bool {
        let last = address.saturating_add(length.saturating_sub(1));
        let known = |address| {
            let mut regions = self.regions().iter();
            address < FIRST_MEBIBYTE
                || regions.any(|region| (region.start..region.end).contains(&address))
        };
        // Regions that did not fit are not known.
        self.dropped > 0 || (known(address) && known(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryKind, Region};

    #[test]
    fn tables_lie_where_the_map_knows_of_something() {
        let mut map = MemoryMap::empty();
        for (start, end, kind) in [
            (0, 0x9_f000, 1),
            (0x10_0000, 0x1000_0000, 1),
            (0x1000_0000, 0x1001_0000, 3),
            (0xfec0_0000, 0xfec0_1000, 2),
        ] {
            let kind = MemoryKind::from_e820(kind);
            map.push(Region { start, end, kind });
        }
        for (address, length, expected) in [
            (0xe_0000, 36, true),
            (0x0fff_fff0, 0x20, true),
            (0x1000_fff0, 0x20, false),
            (0xb000_0000, 36, false),
            (0xfec0_0000, 36, true),
            (u64::MAX, 36, false),
        ] {
            assert_eq!(
                map.may_have_tables(address, length),
                expected,
                "{address:#x}"
            );
        }
        assert!(map.has_ram(0x9_efff, 0xb_0000) && map.has_ram(0, u64::MAX));
        assert!(!map.has_ram(0x9_f000, 0x10_0000) && !map.has_ram(0xfec0_0000, u64::MAX));
        assert!(map.is_ram(0x1000_0000) && !map.is_ram(0xfec0_0000) && !map.is_ram(0xe_0000));
    }

    #[test]
    fn nothing_is_refused_by_a_map_that_was_cut() {
        let region = |at: u64| Region {
            start: at << 12,
            end: (at + 1) << 12,
            kind: MemoryKind::Usable,
        };
        let mut map = MemoryMap::empty();
        (0..256).for_each(|at| map.push(region(at)));
        assert!(!map.may_have_tables(u64::MAX, 1));
        map.push(region(300));
        assert!(map.may_have_tables(u64::MAX, 1));
    }
}
