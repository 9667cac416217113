//! The page of conventional memory that stays: what its code reads, then the code.

use rar_kernel::{MemoryKind, MemoryMap};

use super::Answers;
use crate::bytes::put;

pub(super) const BYTES: u64 = 4096;
const CONVENTIONAL: u64 = 640 << 10;
/// Interrupt vectors, the BIOS data area, and where boot sectors are loaded.
const LEAST: u64 = 0x1_0000;

/// Offsets in the page.
pub mod layout {
    /// The vector of interrupt 0x15 before the handler here: offset, segment.
    pub const OLD: usize = 0;
    /// The number of entries, 32 bits.
    pub const COUNT: usize = 4;
    /// Function 0xe801: KiB below 16 MiB.
    pub const TO_BORDER: usize = 8;
    /// Function 0xe801: pieces of 64 KiB above 16 MiB.
    pub const ABOVE_BORDER: usize = 10;
    /// Function 0x88: KiB.
    pub const EXTENDED: usize = 12;
    /// The size of conventional memory in KiB.
    pub const CONVENTIONAL: usize = 14;
    /// The masks of the legacy interrupt controllers.
    pub const MASKS: usize = 16;
    /// The segment of this page in real mode.
    pub const SEGMENT: usize = 18;
    /// The vector of the handler: offset, segment.
    pub const VECTOR: usize = 20;
    /// Descriptors: null, 16-bit code that begins here, 16-bit data that begins at 0.
    pub const GDT: usize = 24;
    /// The pointer to the descriptors.
    pub const GDT_POINTER: usize = 48;
    /// The pointer to the interrupt vectors of real mode.
    pub const IDT_POINTER: usize = 56;
    /// The entries of function 0xe820.
    pub const TABLE: usize = 64;
    /// The code.
    pub const CODE: usize = TABLE + super::Answers::ENTRY * super::Answers::MOST;
    /// Selector of 16-bit code.
    pub const CODE_16: usize = 8;
    /// Selector of 16-bit data.
    pub const DATA_16: usize = 16;
}

/// The code of the page, which begins with its 32-bit entry.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// The instructions; they run at any multiple of 16 below 1 MiB.
    pub bytes: &'a [u8],
    /// Where in them the handler of interrupt 0x15 begins.
    pub handler: usize,
}

/// The page.
#[derive(Clone, Debug)]
pub struct Block {
    base: u32,
    bytes: [u8; 4096],
}

/// Returns the highest page that is free below both ends of conventional memory.
pub(super) fn place(map: &MemoryMap, conventional_end: u64) -> Option<u64> {
    let limit = conventional_end.min(CONVENTIONAL);
    let usable = map.regions().iter();
    let usable = usable.filter(|region| region.kind == MemoryKind::Usable);
    let bases = usable.filter_map(|region| {
        let base = (region.end.min(limit) & !(BYTES - 1)).checked_sub(BYTES)?;
        (base >= region.start.max(LEAST)).then_some(base)
    });
    bases.max()
}

impl Block {
    /// Returns the page for its place below 1 MiB; `None` if the code does not fit.
    #[must_use]
    pub fn new(base: u64, masks: [u8; 2], answers: &Answers, code: &Code<'_>) -> Option<Self> {
        let base = u32::try_from(base).ok().filter(|base| base % 16 == 0)?;
        let segment = u16::try_from(base >> 4).ok()?;
        let conventional = u16::try_from(base >> 10).ok()?;
        let handler = u16::try_from(layout::CODE + code.handler).ok()?;
        let count = u32::try_from(answers.entries().len()).ok()?;
        let gdt = base + u32::try_from(layout::GDT).ok()?;
        let code_16 = 0x0000_9b00_0000_ffff | u64::from(base & 0xff_ffff) << 16;
        let descriptors = [0, code_16, 0x0000_9300_0000_ffff];
        const GDT_LIMIT: u16 = 3 * 8 - 1;
        const IDT_LIMIT: u16 = 0x3ff;

        let mut bytes = [0; 4096];
        if layout::CODE + code.bytes.len() > bytes.len() {
            return None;
        }
        let mut store = |offset, value: &[u8]| put(&mut bytes, offset, value);
        store(layout::COUNT, &count.to_le_bytes());
        store(layout::TO_BORDER, &answers.to_border.to_le_bytes());
        store(layout::ABOVE_BORDER, &answers.above_border.to_le_bytes());
        store(layout::EXTENDED, &answers.extended.to_le_bytes());
        store(layout::CONVENTIONAL, &conventional.to_le_bytes());
        store(layout::MASKS, &masks);
        store(layout::SEGMENT, &segment.to_le_bytes());
        store(layout::VECTOR, &handler.to_le_bytes());
        store(layout::VECTOR + 2, &segment.to_le_bytes());
        for (offset, descriptor) in (layout::GDT..).step_by(8).zip(descriptors) {
            store(offset, &descriptor.to_le_bytes());
        }
        store(layout::GDT_POINTER, &GDT_LIMIT.to_le_bytes());
        store(layout::GDT_POINTER + 2, &gdt.to_le_bytes());
        store(layout::IDT_POINTER, &IDT_LIMIT.to_le_bytes());
        for (offset, entry) in (layout::TABLE..)
            .step_by(Answers::ENTRY)
            .zip(answers.entries())
        {
            store(offset, entry);
        }
        store(layout::CODE, code.bytes);
        Some(Self { base, bytes })
    }

    /// Returns the physical address.
    #[must_use]
    pub const fn base(&self) -> u32 {
        self.base
    }

    /// Returns the physical address of the first instruction.
    #[must_use]
    pub fn entry(&self) -> u32 {
        self.base + u32::try_from(layout::CODE).unwrap_or(0)
    }

    /// Returns the page.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use rar_kernel::Region;

    use super::*;
    use crate::bytes::{u16_at, u32_at, u64_at};

    fn map(regions: &[(u64, u64)]) -> MemoryMap {
        let mut map = MemoryMap::empty();
        for &(start, end) in regions {
            let kind = MemoryKind::Usable;
            map.push(Region { start, end, kind });
        }
        map
    }

    #[test]
    fn the_page_lies_below_what_the_bios_and_the_map_leave() {
        let low = map(&[(0, 0x9_f000), (1 << 20, 64 << 20)]);
        assert_eq!(place(&low, 639 << 10), Some(0x9_e000));
        assert_eq!(place(&low, 0x9_4c00), Some(0x9_3000));
        assert_eq!(place(&low, 640 << 10), Some(0x9_e000));
        assert_eq!(place(&map(&[(0, 0x1_0000)]), 639 << 10), None);
        assert_eq!(
            place(&map(&[(0, 0x1_0000), (0x2_0000, 0x2_0fff)]), 639 << 10),
            None
        );
        assert_eq!(place(&map(&[(1 << 20, 64 << 20)]), 639 << 10), None);
    }

    #[test]
    fn code_finds_everything_in_its_page() {
        let answers = Answers::new(&map(&[(0, 0x9_f000), (1 << 20, 9 << 20)]), 0x9_e000).unwrap();
        let code = Code {
            bytes: &[0xfa, 0xf4, 0xcf],
            handler: 2,
        };
        let block = Block::new(0x9_e000, [0xb8, 0x8e], &answers, &code).unwrap();
        let page = block.bytes();
        assert_eq!(u32_at(page, layout::COUNT), Some(3));
        assert_eq!(u64_at(page, layout::TABLE + 20), Some(0x9_e000));
        assert_eq!(u16_at(page, layout::CONVENTIONAL), Some(632));
        assert_eq!(u16_at(page, layout::SEGMENT), Some(0x9e00));
        let vector = u32_at(page, layout::VECTOR).unwrap();
        let handler = (vector >> 16) * 16 + (vector & 0xffff);
        assert_eq!(handler, block.entry() + 2);
        assert_eq!(page[usize::try_from(handler).unwrap() - 0x9_e000], 0xcf);
        // The base of 16-bit code, in its three parts.
        let descriptor = u64_at(page, layout::GDT + layout::CODE_16).unwrap();
        assert_eq!(
            descriptor >> 16 & 0xff_ffff | descriptor >> 56 << 24,
            0x9_e000
        );
        assert_eq!(u32_at(page, layout::GDT_POINTER + 2), Some(0x9_e018));
    }

    #[test]
    fn code_that_does_not_fit_is_refused() {
        let answers = Answers::new(&map(&[(0, 0x9_f000)]), 0x9_e000).unwrap();
        let bytes = [0x90; 4096 - layout::CODE + 1];
        let fits = |length: usize| {
            let code = Code {
                bytes: &bytes[..length],
                handler: 0,
            };
            Block::new(0x9_e000, [0; 2], &answers, &code).is_some()
        };
        assert!(fits(bytes.len() - 1));
        assert!(!fits(bytes.len()));
    }
}
