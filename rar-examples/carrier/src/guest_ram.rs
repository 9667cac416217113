//! The memory that the guest gets: all RAM, except what the shim and the carrier keep.

use rar_kernel::{FreeRanges, MemoryKind, MemoryMap, Region};

use crate::error::PayloadError;

/// The size of the block in which the guest finds what is handed over to it.
pub const HANDOVER_BYTES: u64 = 128 << 10;

const PAGE: u64 = 4096;
const FIRST_MEBIBYTE: u64 = 1 << 20;
/// Loaders of 32 bits reach no more.
const LIMIT: u64 = 1 << 32;
/// What the carrier keeps grows to whole pages of this size where firmware has nothing there, so
/// that few entries of a page table can hide it.
const PIECE: u64 = 2 << 20;

/// The memory that the guest gets, and what of it is in use before the guest runs.
#[derive(Clone, Debug)]
pub struct GuestRam {
    usable: FreeRanges,
    free: FreeRanges,
    kept: FreeRanges,
    handover: u64,
}

impl GuestRam {
    /// Divides the machine's memory. `kept` is the carrier's; `files` are ranges that hold the
    /// payload.
    ///
    /// # Errors
    ///
    /// [`PayloadError::NoRoom`] without a free block for the handover.
    pub fn new(
        map: &MemoryMap,
        kept: &FreeRanges,
        files: impl IntoIterator<Item = (u64, u64)>,
    ) -> Result<Self, PayloadError> {
        let mut whole = FreeRanges::empty();
        for &(start, end) in kept.ranges() {
            let end = end.checked_next_multiple_of(PIECE).unwrap_or(end);
            whole.add(start - start % PIECE, end);
        }
        // Firmware's tables may lie in the same piece, and the guest must find them.
        let all = map.regions().iter();
        for region in all.filter(|region| region.kind != MemoryKind::Usable) {
            whole.cut(region.start, region.end);
        }
        for &(start, end) in kept.ranges() {
            whole.add(start, end);
        }
        let mut usable = map.free(&[]);
        for &(start, end) in whole.ranges() {
            usable.cut(start, end);
        }
        let mut free = usable.clone();
        free.cut(0, PAGE);
        for (start, end) in files {
            free.cut(start, end);
        }
        let (pages, floor) = (HANDOVER_BYTES / PAGE, first_end(&whole));
        let handover = free
            .take(pages, PAGE, floor, LIMIT)
            .or_else(|| free.take(pages, PAGE, FIRST_MEBIBYTE, LIMIT))
            .ok_or(PayloadError::NoRoom {
                what: "the handover",
                bytes: HANDOVER_BYTES,
            })?;
        usable.cut(handover, handover + HANDOVER_BYTES);
        Ok(Self {
            usable,
            free,
            kept: whole,
            handover,
        })
    }

    /// Returns the physical address of the block for the handover: the guest sees it, and it is
    /// reserved in the guest's memory map.
    #[must_use]
    pub const fn handover(&self) -> u64 {
        self.handover
    }

    /// Returns what the carrier and the shim keep, in whole pieces of 2 MiB less what firmware has.
    #[must_use]
    pub fn kept(&self) -> &[(u64, u64)] {
        self.kept.ranges()
    }

    /// Returns how many bytes of RAM the guest gets.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let ranges = self.usable.ranges().iter();
        ranges.map(|(start, end)| end - start).sum()
    }

    /// Returns the memory map of the guest, in the order of addresses: firmware's own regions as
    /// they are, and what is kept as reserved ones.
    #[must_use]
    pub fn map(&self, machine: &MemoryMap) -> MemoryMap {
        let region = |(start, end), kind| Region { start, end, kind };
        let usable = self.usable.ranges().iter();
        let usable = usable.map(|range| region(*range, MemoryKind::Usable));
        let handover = (self.handover, self.handover + HANDOVER_BYTES);
        let kept = self.kept.ranges().iter().copied().chain([handover]);
        let kept = kept.map(|range| region(range, MemoryKind::Reserved));
        let all = machine.regions().iter().copied();
        let firmware = all.filter(|region| region.kind != MemoryKind::Usable);
        let everything = || usable.clone().chain(kept.clone()).chain(firmware.clone());
        let mut map = MemoryMap::empty();
        let mut from = 0;
        // Regions of one start come together, in the order above.
        while let Some(start) = everything()
            .map(|region| region.start)
            .filter(|start| *start >= from)
            .min()
        {
            for region in everything().filter(|region| region.start == start) {
                map.push(region);
            }
            let Some(after) = start.checked_add(1) else {
                break;
            };
            from = after;
        }
        map
    }

    /// Returns whether the guest has RAM in the whole range.
    pub(crate) fn has(&self, start: u64, end: u64) -> bool {
        let mut ranges = self.usable.ranges().iter();
        start <= end && ranges.any(|range| range.0 <= start && end <= range.1)
    }

    /// Takes a range that the payload wants; what lies there must be moved first.
    pub(crate) fn claim(&mut self, start: u64, end: u64) {
        self.free.cut(start, end);
    }

    /// Takes free memory from `floor` on, below `limit`.
    pub(crate) fn take(
        &mut self,
        bytes: u64,
        alignment: u64,
        floor: u64,
        limit: u64,
    ) -> Option<u64> {
        self.free
            .take(bytes.div_ceil(PAGE), alignment, floor, limit.min(LIMIT))
    }
}

fn first_end(ranges: &FreeRanges) -> u64 {
    let ends = ranges.ranges().iter().map(|(_, end)| *end);
    ends.min().unwrap_or(FIRST_MEBIBYTE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn machine(regions: &[(u64, u64, u32)]) -> MemoryMap {
        let mut map = MemoryMap::empty();
        for &(start, end, kind) in regions {
            map.push(Region {
                start,
                end,
                kind: MemoryKind::from_e820(kind),
            });
        }
        map
    }

    fn ranges(all: &[(u64, u64)]) -> FreeRanges {
        let mut ranges = FreeRanges::empty();
        for &(start, end) in all {
            ranges.add(start, end);
        }
        ranges
    }

    const SMALL: [(u64, u64, u32); 5] = [
        (0, 0x9_fc00, 1),
        (0x9_fc00, 0xa_0000, 2),
        (0xf_0000, 0x10_0000, 2),
        (MIB, 512 * MIB, 1),
        (512 * MIB, 513 * MIB, 3),
    ];

    #[test]
    fn the_guest_gets_all_but_what_is_kept() {
        let map = machine(&SMALL);
        let kept = ranges(&[(64 * MIB, 65 * MIB + 0x1000)]);
        let ram = GuestRam::new(&map, &kept, [(400 * MIB, 401 * MIB)]).unwrap();
        assert_eq!(ram.kept(), &[(64 * MIB, 66 * MIB)]);
        assert_eq!(ram.handover(), 66 * MIB);
        let guest = ram.map(&map);
        let seen: Vec<_> = guest
            .regions()
            .iter()
            .map(|region| (region.start, region.end, region.kind))
            .collect();
        use MemoryKind::{AcpiTables, Reserved, Usable};
        let block = 66 * MIB + HANDOVER_BYTES;
        assert_eq!(
            seen,
            [
                (0, 0x9_f000, Usable),
                (0x9_fc00, 0xa_0000, Reserved),
                (0xf_0000, 0x10_0000, Reserved),
                (MIB, 64 * MIB, Usable),
                (64 * MIB, 66 * MIB, Reserved),
                (66 * MIB, block, Reserved),
                (block, 512 * MIB, Usable),
                (512 * MIB, 513 * MIB, AcpiTables),
            ]
        );
        assert_eq!(ram.bytes(), 0x9_f000 + 509 * MIB - HANDOVER_BYTES);
    }

    #[test]
    fn tables_of_firmware_beside_what_is_kept_stay() {
        let tables = (65 * MIB + 0x2_0000, 67 * MIB);
        let map = machine(&[
            (MIB, tables.0, 1),
            (tables.0, tables.1, 3),
            (tables.1, 512 * MIB, 1),
        ]);
        let kept = ranges(&[(64 * MIB, 65 * MIB + 0x1000), (67 * MIB, 67 * MIB + 0x1000)]);
        let ram = GuestRam::new(&map, &kept, []).unwrap();
        let expected = [(64 * MIB, tables.0), (tables.1, 68 * MIB)];
        assert_eq!(ram.kept(), expected);
    }

    #[test]
    fn files_are_ram_of_the_guest_but_not_free() {
        let map = machine(&SMALL);
        let kept = ranges(&[(64 * MIB, 66 * MIB)]);
        let mut ram = GuestRam::new(&map, &kept, [(67 * MIB, 512 * MIB)]).unwrap();
        assert!(ram.has(67 * MIB, 512 * MIB));
        assert!(!ram.has(63 * MIB, 65 * MIB) && !ram.has(511 * MIB, 513 * MIB));
        assert_eq!(ram.take(PAGE, PAGE, 67 * MIB, LIMIT), None);
        assert_eq!(
            ram.take(PAGE, PAGE, 0, LIMIT),
            Some(PAGE),
            "page 0 stays free"
        );
    }

    #[test]
    fn without_room_for_the_handover_there_is_an_error() {
        let map = machine(&[(0, 0x9_0000, 1), (64 * MIB, 66 * MIB, 1)]);
        let error = GuestRam::new(&map, &ranges(&[(64 * MIB, 66 * MIB)]), []).unwrap_err();
        assert!(matches!(error, PayloadError::NoRoom { .. }));
    }

    proptest! {
        /// Whatever the machine is: no region of the guest's RAM overlaps what is kept, the
        /// handover, or a region that firmware has; and nothing is lost but partial pages.
        #[test]
        fn usable_memory_is_disjoint_from_all_else(
            regions in proptest::collection::vec((0_u64..600, 0_u64..200, 1_u32..5), 1..12),
            kept in (0_u64..500, 1_u64..16),
            file in (0_u64..600, 0_u64..20),
        ) {
            let half = MIB / 2;
            let regions: Vec<_> = regions
                .iter()
                .map(|&(start, length, kind)| (start * half, (start + length) * half, kind))
                .collect();
            let map = machine(&regions);
            let kept = (kept.0 * MIB, kept.0 * MIB + kept.1 * 0x11_1000);
            let file = (file.0 * half + 5, (file.0 + file.1) * half + 17);
            let Ok(mut ram) = GuestRam::new(&map, &ranges(&[kept]), [file]) else {
                return Ok(());
            };
            let guest = ram.map(&map);
            prop_assert_eq!(guest.dropped(), 0);
            let usable = |region: &&Region| region.kind == MemoryKind::Usable;
            for region in guest.regions().iter().filter(usable) {
                let others = guest.regions().iter().filter(|other| *other != region);
                for other in others {
                    prop_assert!(other.end <= region.start || region.end <= other.start);
                }
                prop_assert!(region.end <= kept.0 || kept.1 <= region.start);
            }
            prop_assert!(guest.regions().is_sorted_by_key(|region| region.start));
            while let Some(page) = ram.take(64 << 10, PAGE, 0, LIMIT) {
                prop_assert!(ram.has(page, page + (64 << 10)) && page > 0);
                prop_assert!(page + (64 << 10) <= file.0 || file.1 <= page || file.0 == file.1);
            }
        }
    }
}
