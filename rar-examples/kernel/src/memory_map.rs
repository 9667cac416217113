//! The memory map and the memory left when everything in use is cut out of it.

mod known;

/// What a region holds, by its ACPI address range type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "freestanding", derive(defmt::Format))]
pub enum MemoryKind {
    /// Free RAM.
    Usable,
    /// RAM with ACPI tables.
    AcpiTables,
    /// RAM that firmware uses while the system sleeps.
    AcpiNvs,
    /// Anything else: not to be touched.
    Reserved,
}

impl MemoryKind {
    /// Returns the kind of an address range type (ACPI 6.5, "Address Range Types"; PVH and
    /// multiboot2 use the same numbers).
    #[must_use]
    pub const fn from_e820(kind: u32) -> Self {
        match kind {
            1 => Self::Usable,
            3 => Self::AcpiTables,
            4 => Self::AcpiNvs,
            _ => Self::Reserved,
        }
    }

    /// Returns the address range type of the kind.
    #[must_use]
    pub const fn e820(self) -> u32 {
        match self {
            Self::Usable => 1,
            Self::Reserved => 2,
            Self::AcpiTables => 3,
            Self::AcpiNvs => 4,
        }
    }

    /// Returns whether the region is RAM, free or not.
    #[must_use]
    pub const fn is_ram(self) -> bool {
        !matches!(self, Self::Reserved)
    }
}

/// A range of physical addresses with one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "freestanding", derive(defmt::Format))]
pub struct Region {
    /// First byte.
    pub start: u64,
    /// First byte after the range.
    pub end: u64,
    /// What it holds.
    pub kind: MemoryKind,
}

const CAPACITY: usize = 256;

/// The memory map as the loader gave it, in its order, overlaps included.
#[derive(Clone, Debug)]
pub struct MemoryMap {
    regions: [Region; CAPACITY],
    count: usize,
    dropped: usize,
}

impl MemoryMap {
    /// A map without regions.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            regions: [Region {
                start: 0,
                end: 0,
                kind: MemoryKind::Reserved,
            }; CAPACITY],
            count: 0,
            dropped: 0,
        }
    }

    /// Adds a region; an empty one is left out, one beyond the capacity of 256 is counted as
    /// dropped.
    pub fn push(&mut self, region: Region) {
        if region.start >= region.end {
            return;
        }
        if let Some(place) = self.regions.get_mut(self.count) {
            *place = region;
            self.count += 1;
        } else {
            self.dropped += 1;
        }
    }

    /// Returns the regions in the order of the loader.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        self.regions.get(..self.count).unwrap_or(&[])
    }

    /// Returns how many regions did not fit.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    /// Returns the RAM that is free: usable, in no region of another kind, and outside `in_use`.
    #[must_use]
    pub fn free(&self, in_use: &[(u64, u64)]) -> FreeRanges {
        let mut free = self.only(|kind| kind == MemoryKind::Usable);
        for &(start, end) in in_use {
            free.cut(start, end);
        }
        free
    }

    /// Returns everything that is RAM, in use or not, and in no reserved region.
    #[must_use]
    pub fn ram(&self) -> FreeRanges {
        self.only(MemoryKind::is_ram)
    }

    /// Returns the regions of the kinds asked for, less those of all other kinds.
    fn only(&self, wanted: impl Fn(MemoryKind) -> bool) -> FreeRanges {
        let mut ranges = FreeRanges::empty();
        for region in self.regions().iter().filter(|region| wanted(region.kind)) {
            ranges.add(region.start, region.end);
        }
        for region in self.regions().iter().filter(|region| !wanted(region.kind)) {
            ranges.cut(region.start, region.end);
        }
        ranges
    }
}

/// Disjoint ranges of whole pages.
#[derive(Clone, Debug)]
pub struct FreeRanges {
    ranges: [(u64, u64); CAPACITY],
    count: usize,
    dropped: usize,
}

const PAGE: u64 = 4096;

impl FreeRanges {
    /// No memory at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            ranges: [(0, 0); CAPACITY],
            count: 0,
            dropped: 0,
        }
    }

    /// Returns the ranges, each a start and an exclusive end on page borders.
    #[must_use]
    pub fn ranges(&self) -> &[(u64, u64)] {
        self.ranges.get(..self.count).unwrap_or(&[])
    }

    /// Takes `pages` pages in a row, aligned to `alignment` bytes (a power of two, at least a
    /// page), between `floor` and `limit`.
    ///
    /// The lowest place that fits is taken; what its alignment skips stays free.
    #[must_use]
    pub fn take(&mut self, pages: u64, alignment: u64, floor: u64, limit: u64) -> Option<u64> {
        let length = pages.checked_mul(PAGE)?;
        let start = self
            .ranges()
            .iter()
            .filter_map(|&(start, end)| {
                let start = start
                    .max(floor)
                    .checked_next_multiple_of(alignment.max(PAGE))?;
                (start.checked_add(length)? <= end.min(limit)).then_some(start)
            })
            .min()?;
        self.cut(start, start + length);
        Some(start)
    }

    /// Adds the whole pages of a range; pages that are there already stay once.
    pub fn add(&mut self, start: u64, end: u64) {
        // No whole page begins in the last one.
        let Some(start) = start.checked_next_multiple_of(PAGE) else {
            return;
        };
        let end = end - end % PAGE;
        if start >= end {
            return;
        }
        // Usable regions that overlap must not be handed out twice.
        self.cut(start, end);
        let before = self.clone();
        self.count = 0;
        let (mut first, mut after) = (start, end);
        for &(from, to) in before.ranges() {
            if to == start {
                first = from;
            } else if from == end {
                after = to;
            } else {
                self.push(from, to);
            }
        }
        self.push(first, after);
    }

    /// Removes every page that the range touches; an empty range touches none.
    pub fn cut(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let start = start - start % PAGE;
        let end = end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        let before = self.clone();
        self.count = 0;
        for &(from, to) in before.ranges() {
            if end <= from || to <= start {
                self.push(from, to);
            } else {
                self.push(from, start.min(to));
                self.push(end.max(from), to);
            }
        }
    }

    /// Returns how many ranges did not fit: 256 are kept.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    fn push(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        if let Some(place) = self.ranges.get_mut(self.count) {
            *place = (start, end);
            self.count += 1;
        } else {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(regions: &[(u64, u64, u32)]) -> MemoryMap {
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

    #[test]
    fn reserved_wins_over_usable() {
        let map = map(&[
            (0x1000, 0x9000, 1),
            (0x3000, 0x3800, 2),
            (0x6000, 0x7000, 4),
        ]);
        let free = map.free(&[(0x8000, 0x8001)]);
        assert_eq!(
            free.ranges(),
            &[(0x1000, 0x3000), (0x4000, 0x6000), (0x7000, 0x8000)]
        );
    }

    #[test]
    fn overlapping_usable_regions_are_handed_out_once() {
        let map = map(&[(0x1000, 0x4000, 1), (0x2000, 0x6000, 1)]);
        let mut free = map.free(&[]);
        let mut taken = Vec::new();
        while let Some(page) = free.take(1, PAGE, 0, u64::MAX) {
            taken.push(page);
        }
        assert_eq!(taken, [0x1000, 0x2000, 0x3000, 0x4000, 0x5000]);
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = FreeRanges::empty();
        for page in [5, 1, 3, 2, 9, 4_u64] {
            ranges.add(page * PAGE, (page + 1) * PAGE);
        }
        assert_eq!(ranges.ranges(), &[(0x9000, 0xa000), (0x1000, 0x6000)]);
        ranges.cut(0x3000, 0x3000);
        assert_eq!(ranges.ranges().len(), 2);
        ranges.cut(0x3000, 0x3001);
        assert_eq!(ranges.ranges().len(), 3);
    }

    #[test]
    fn ranges_beyond_the_capacity_are_counted() {
        let mut ranges = FreeRanges::empty();
        for page in 0..260 {
            ranges.add(2 * page * PAGE, (2 * page + 1) * PAGE);
        }
        assert_eq!((ranges.ranges().len(), ranges.dropped()), (256, 4));
    }

    #[test]
    fn odd_edges_shrink_to_whole_pages() {
        let free = map(&[(0x1001, 0x9fc00, 1)]).free(&[]);
        assert_eq!(free.ranges(), &[(0x2000, 0x9f000)]);
    }

    #[test]
    fn the_last_page_of_all_addresses_is_not_free() {
        let last = u64::MAX - 0xffe;
        for end in [last + 1, u64::MAX] {
            assert_eq!(map(&[(last, end, 1)]).free(&[]).ranges(), &[]);
        }
    }

    #[test]
    fn take_keeps_alignment_and_limit() {
        let mut free = map(&[(0x1000, 0x100_0000, 1)]).free(&[]);
        assert_eq!(free.take(2, 0x20_0000, 0, u64::MAX), Some(0x20_0000));
        assert_eq!(free.take(1, PAGE, 0, 0x2000), Some(0x1000));
        assert_eq!(free.take(1, PAGE, 0, 0x2000), None);
        assert_eq!(free.take(1, 0x20_0000, 0, u64::MAX), Some(0x40_0000));
        assert_eq!(free.take(1, PAGE, 0x8800, u64::MAX), Some(0x9000));
    }

    #[test]
    fn a_region_to_the_end_of_memory_does_not_wrap() {
        let map = map(&[(0x1000, 0x3000, 1), (0x2000, u64::MAX, 2)]);
        assert_eq!(map.free(&[]).ranges(), &[(0x1000, 0x2000)]);
    }

    #[test]
    fn the_order_of_the_loader_does_not_matter() {
        const TIB: u64 = 1 << 40;
        let mut regions = [
            (TIB, 2 * TIB, 1),
            (0x10_0000, 0x4000_0000, 1),
            (0xfee0_0000, 0xfee0_1000, 2),
            (0x3000_0000, 0x3000_2000, 4),
            (0, 0x9_f000, 1),
            (0x2fff_f000, 0x3000_1000, 3),
        ];
        let expected = [
            (0, 0x9_f000),
            (0x10_0000, 0x2fff_f000),
            (0x3000_2000, 0x4000_0000),
            (TIB, 2 * TIB),
        ];
        for _ in 0..regions.len() {
            regions.rotate_left(1);
            let map = map(&regions);
            let mut ranges = map.free(&[]).ranges().to_vec();
            ranges.sort_unstable();
            assert_eq!(ranges, expected);
            // Below 4 GiB, whatever lies above.
            let highest = map.free(&[]).take(0x3_0000, PAGE, 0x20_0000, 1 << 32);
            assert_eq!(highest, None, "no hole of 768 MiB is left");
            let taken = map.free(&[]).take(0x1_0000, 0x20_0000, 0x20_0000, 1 << 32);
            assert_eq!(taken, Some(0x20_0000));
        }
    }

    #[test]
    fn regions_beyond_the_capacity_are_counted() {
        let mut map = MemoryMap::empty();
        for at in 0..300 {
            map.push(Region {
                start: at * PAGE,
                end: (at + 1) * PAGE,
                kind: MemoryKind::Usable,
            });
        }
        assert_eq!((map.regions().len(), map.dropped()), (256, 44));
    }
}
