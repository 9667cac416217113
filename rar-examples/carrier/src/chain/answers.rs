//! What interrupt 0x15 answers about memory.

use rar_kernel::{MemoryKind, MemoryMap, Region};

const MEBIBYTE: u64 = 1 << 20;
/// Function 0xe801 counts in KiB up to here, and in pieces of 64 KiB from here on.
const BORDER: u64 = 16 * MEBIBYTE;
const KIB: u64 = 1 << 10;
const PIECE: u64 = 64 * KIB;
/// Where the memory that programs of 16 bits use ends.
const CONVENTIONAL: u64 = 640 * KIB;
/// Function 0x88 never answers more: 63 MiB.
const MOST_88: u64 = 0xfc00;

/// What interrupt 0x15 answers about memory.
#[derive(Clone, Debug)]
pub struct Answers {
    entries: [[u8; Self::ENTRY]; Self::MOST],
    count: usize,
    /// KiB between 1 and 16 MiB, in a row.
    pub(super) to_border: u16,
    /// Pieces of 64 KiB above 16 MiB, in a row.
    pub(super) above_border: u16,
    /// KiB above 1 MiB, in a row, as function 0x88 counts.
    pub(super) extended: u16,
}

impl Answers {
    /// The bytes of an entry without its attributes.
    pub const ENTRY: usize = 20;
    /// The most entries.
    pub const MOST: usize = 120;

    /// Returns the answers for the guest's memory map; conventional memory ends at `low_end`.
    /// `None` if the map is too long.
    #[must_use]
    pub fn new(map: &MemoryMap, low_end: u64) -> Option<Self> {
        let mut answers = Self {
            entries: [[0; Self::ENTRY]; Self::MOST],
            count: 0,
            to_border: 0,
            above_border: 0,
            extended: 0,
        };
        for region in map.regions() {
            let usable = region.kind == MemoryKind::Usable;
            let is_split = usable && region.start < low_end && low_end < region.end;
            if usable && low_end <= region.start && region.end <= CONVENTIONAL {
                answers.push(region.start, region.end, MemoryKind::Reserved)?;
            } else if is_split {
                answers.push(region.start, low_end, MemoryKind::Usable)?;
                answers.push(low_end, region.end, MemoryKind::Reserved)?;
            } else {
                answers.push(region.start, region.end, region.kind)?;
            }
        }
        let end = extended_end(map.regions());
        answers.to_border = limited((end.min(BORDER) - MEBIBYTE) / KIB, u16::MAX.into());
        answers.above_border = limited(end.saturating_sub(BORDER) / PIECE, u16::MAX.into());
        answers.extended = limited((end - MEBIBYTE) / KIB, MOST_88);
        (map.dropped() == 0).then_some(answers)
    }

    /// Returns the entries of function 0xe820, in the order of addresses.
    #[must_use]
    pub fn entries(&self) -> &[[u8; Self::ENTRY]] {
        self.entries.get(..self.count).unwrap_or(&[])
    }

    fn push(&mut self, start: u64, end: u64, kind: MemoryKind) -> Option<()> {
        let entry = self.entries.get_mut(self.count)?;
        let bytes = start.to_le_bytes().into_iter();
        let bytes = bytes.chain((end - start).to_le_bytes());
        let bytes = bytes.chain(kind.e820().to_le_bytes());
        entry
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);
        self.count += 1;
        Some(())
    }
}

/// Returns where the memory ends that begins at 1 MiB.
fn extended_end(regions: &[Region]) -> u64 {
    let mut end = MEBIBYTE;
    // Regions that touch are one for these functions. A map has at most that number of them.
    for _ in regions {
        let next = regions.iter().find(|region| {
            region.kind == MemoryKind::Usable && region.start <= end && end < region.end
        });
        match next {
            Some(region) => end = region.end,
            None => break,
        }
    }
    end
}

fn limited(value: u64, most: u64) -> u16 {
    u16::try_from(value.min(most)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(regions: &[(u64, u64, u32)]) -> MemoryMap {
        let mut map = MemoryMap::empty();
        for &(start, end, kind) in regions {
            let kind = MemoryKind::from_e820(kind);
            map.push(Region { start, end, kind });
        }
        map
    }

    fn read(answers: &Answers) -> Vec<(u64, u64, u32)> {
        let number = |bytes: &[u8]| {
            let bytes = bytes.iter().rev();
            bytes.fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let entries = answers.entries().iter().map(|entry| {
            let kind = u32::try_from(number(&entry[16..])).unwrap();
            (number(&entry[..8]), number(&entry[8..16]), kind)
        });
        entries.collect()
    }

    #[test]
    fn the_block_is_reserved_and_the_rest_as_it_is() {
        let map = map(&[
            (0, 0x9_f000, 1),
            (0x9_fc00, 0xa_0000, 2),
            (MEBIBYTE, 64 * MEBIBYTE, 1),
            (64 * MEBIBYTE, 72 * MEBIBYTE, 2),
            (72 * MEBIBYTE, 512 * MEBIBYTE, 1),
            (512 * MEBIBYTE, 513 * MEBIBYTE, 3),
        ]);
        let answers = Answers::new(&map, 0x9_e000).unwrap();
        assert_eq!(
            read(&answers),
            [
                (0, 0x9_e000, 1),
                (0x9_e000, 0x1000, 2),
                (0x9_fc00, 0x400, 2),
                (MEBIBYTE, 63 * MEBIBYTE, 1),
                (64 * MEBIBYTE, 8 * MEBIBYTE, 2),
                (72 * MEBIBYTE, 440 * MEBIBYTE, 1),
                (512 * MEBIBYTE, MEBIBYTE, 3),
            ]
        );
        assert_eq!((answers.to_border, answers.above_border), (0x3c00, 768));
        assert_eq!(answers.extended, 0xfc00);
    }

    #[test]
    fn old_functions_count_memory_in_a_row_up_to_their_limits() {
        for (end, to_border, above_border, extended) in [
            (MEBIBYTE + 0x1000, 4, 0, 4),
            (15 * MEBIBYTE, 14 << 10, 0, 14 << 10),
            (17 * MEBIBYTE, 0x3c00, 16, 16 << 10),
            (3 << 30, 0x3c00, 0xbf00, 0xfc00),
            (1 << 40, 0x3c00, 0xffff, 0xfc00),
        ] {
            let map = map(&[
                (MEBIBYTE, MEBIBYTE + 0x1000, 1),
                (MEBIBYTE + 0x1000, end, 1),
                (end + 0x1000, end + MEBIBYTE, 1),
            ]);
            let answers = Answers::new(&map, 0x9_e000).unwrap();
            let answered = (answers.to_border, answers.above_border, answers.extended);
            assert_eq!(answered, (to_border, above_border, extended), "{end:#x}");
        }
        let without = Answers::new(&map(&[(0, 0x9_f000, 1)]), 0x9_e000).unwrap();
        assert_eq!((without.to_border, without.extended), (0, 0));
    }

    #[test]
    fn free_pages_behind_the_block_are_reserved_with_it() {
        let map = map(&[(0, 0x8_0000, 1), (0x9_0000, 0x9_f000, 1)]);
        let answers = Answers::new(&map, 0x7_f000).unwrap();
        let expected = [
            (0, 0x7_f000, 1),
            (0x7_f000, 0x1000, 2),
            (0x9_0000, 0xf000, 2),
        ];
        assert_eq!(read(&answers), expected);
    }

    #[test]
    fn a_map_that_is_too_long_is_refused() {
        let all: Vec<_> = (0..121)
            .map(|at| ((2 * at + 1) << 20, (2 * at + 2) << 20, 1))
            .collect();
        assert!(Answers::new(&map(&all[..120]), 0x9_e000).is_some());
        assert!(Answers::new(&map(&all), 0x9_e000).is_none());
    }
}
