//! The page of boot parameters ("zero page").

use rar_kernel::{Display, MemoryMap};

use crate::bytes::put;
use crate::error::PayloadError;

/// Offsets in the page (the kernel's documentation, "Zero Page").
mod offset {
    pub(super) const SCREEN_MODE: usize = 0x06;
    pub(super) const SCREEN_LINES: usize = 0x0e;
    pub(super) const SCREEN_KIND: usize = 0x0f;
    pub(super) const SCREEN_POINTS: usize = 0x10;
    pub(super) const PIXELS: usize = 0x12;
    pub(super) const PIXELS_PITCH: usize = 0x24;
    pub(super) const PIXELS_COLOURS: usize = 0x26;
    pub(super) const PIXELS_CAPABILITIES: usize = 0x36;
    pub(super) const PIXELS_HIGH: usize = 0x3a;
    pub(super) const RSDP: usize = 0x70;
    pub(super) const MAP_COUNT: usize = 0x1e8;
    pub(super) const SETUP_HEADER: usize = 0x1f1;
    pub(super) const VIDEO_MODE: usize = 0x1fa;
    pub(super) const LOADER: usize = 0x210;
    pub(super) const INITRD: usize = 0x218;
    pub(super) const INITRD_SIZE: usize = 0x21c;
    pub(super) const COMMAND_LINE: usize = 0x228;
    pub(super) const MAP: usize = 0x2d0;
}

const BYTES: usize = 4096;
const MAP_ENTRY: usize = 20;
const MOST_REGIONS: usize = 128;
const LOADER_UNKNOWN: u8 = 0xff;
const VIDEO_NORMAL: u16 = 0xffff;
const SCREEN_VGA: u8 = 1;
/// A screen of pixels that firmware has set up (`VIDEO_TYPE_EFI`): its size is in bytes.
const SCREEN_PIXELS: u8 = 0x70;
const ADDRESS_HAS_64_BITS: u32 = 2;

/// The page of boot parameters.
pub(super) struct BootParams([u8; BYTES]);

impl BootParams {
    /// A page with the setup header of the kernel.
    pub(super) fn new(header: &[u8]) -> Self {
        let mut page = Self([0; BYTES]);
        page.put(offset::SETUP_HEADER, header);
        page.put(offset::LOADER, &[LOADER_UNKNOWN]);
        page.put(offset::VIDEO_MODE, &VIDEO_NORMAL.to_le_bytes());
        page
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.0, offset, bytes);
    }

    /// Puts the low half of an address or a size: everything here lies below 4 GiB.
    fn put_low(&mut self, offset: usize, value: u64) {
        let [a, b, c, d, ..] = value.to_le_bytes();
        self.put(offset, &[a, b, c, d]);
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn set_command_line(&mut self, address: u64) {
        self.put_low(offset::COMMAND_LINE, address);
    }

    pub(super) fn set_initrd(&mut self, start: u64, end: u64) {
        self.put_low(offset::INITRD, start);
        self.put_low(offset::INITRD_SIZE, end - start);
    }

    pub(super) fn set_rsdp(&mut self, address: u64) {
        self.put(offset::RSDP, &address.to_le_bytes());
    }

    pub(super) fn set_memory_map(&mut self, map: &MemoryMap) -> Result<(), PayloadError> {
        let regions = map.regions();
        let count = u8::try_from(regions.len()).ok();
        let count = count.filter(|count| usize::from(*count) <= MOST_REGIONS);
        let too_many = PayloadError::Unsupported {
            kind: "machine",
            what: "its memory map has more regions than Linux takes (128)",
        };
        self.put(offset::MAP_COUNT, &[count.ok_or(too_many)?]);
        let places = (offset::MAP..).step_by(MAP_ENTRY);
        for (at, region) in places.zip(regions) {
            self.put(at, &region.start.to_le_bytes());
            self.put(at + 8, &(region.end - region.start).to_le_bytes());
            self.put(at + 16, &region.kind.e820().to_le_bytes());
        }
        Ok(())
    }

    pub(super) fn set_display(&mut self, display: Display) {
        match display {
            Display::Text { columns, rows, .. } => {
                let [columns, ..] = columns.to_le_bytes();
                let [rows, ..] = rows.to_le_bytes();
                self.put(offset::SCREEN_MODE, &[3, columns]);
                self.put(offset::SCREEN_LINES, &[rows, SCREEN_VGA]);
                self.put(offset::SCREEN_POINTS, &16_u16.to_le_bytes());
            }
            Display::Pixels(screen) => {
                self.put(offset::SCREEN_KIND, &[SCREEN_PIXELS]);
                let half = |value: u32| {
                    let [a, b, ..] = value.to_le_bytes();
                    [a, b]
                };
                self.put(offset::PIXELS, &half(screen.width));
                self.put(offset::PIXELS + 2, &half(screen.height));
                self.put(offset::PIXELS + 4, &half(screen.format.bits));
                self.put_low(offset::PIXELS + 6, screen.address);
                self.put_low(offset::PIXELS + 10, screen.length());
                self.put(offset::PIXELS_PITCH, &half(screen.pitch));
                let colours = [screen.format.red, screen.format.green, screen.format.blue];
                for (at, colour) in (offset::PIXELS_COLOURS..).step_by(2).zip(colours) {
                    self.put(at, &[colour.size, colour.shift]);
                }
                self.put(
                    offset::PIXELS_CAPABILITIES,
                    &ADDRESS_HAS_64_BITS.to_le_bytes(),
                );
                self.put_low(offset::PIXELS_HIGH, screen.address >> 32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rar_kernel::{Channel, Framebuffer, MemoryKind, PixelFormat, Region};

    use super::*;
    use crate::bytes::{u16_at, u32_at, u64_at};

    #[test]
    fn each_field_lies_where_linux_reads_it() {
        let mut page = BootParams::new(&[1, 0, 0, 0]);
        page.set_command_line(0x420_0000);
        page.set_initrd(0x3000_0000, 0x3000_1234);
        page.set_rsdp(0xf_59e0);
        let bytes = page.bytes();
        assert_eq!(bytes[0x1f1], 1);
        assert_eq!(u64_at(bytes, 0x70), Some(0xf_59e0));
        assert_eq!(u32_at(bytes, 0x228), Some(0x420_0000));
        assert_eq!(u32_at(bytes, 0x218), Some(0x3000_0000));
        assert_eq!(u32_at(bytes, 0x21c), Some(0x1234));
        assert_eq!((bytes[0x210], u16_at(bytes, 0x1fa)), (0xff, Some(0xffff)));
    }

    #[test]
    fn the_memory_map_has_at_most_128_entries() {
        let mut map = MemoryMap::empty();
        for number in 0..129 {
            let mut page = BootParams::new(&[]);
            assert_eq!(page.set_memory_map(&map), Ok(()));
            assert_eq!(usize::from(page.bytes()[0x1e8]), map.regions().len());
            map.push(Region {
                start: number << 20,
                end: (number << 20) + 0x1000,
                kind: MemoryKind::AcpiNvs,
            });
        }
        let mut page = BootParams::new(&[]);
        assert!(page.set_memory_map(&map).is_err());
        map = MemoryMap::empty();
        map.push(Region {
            start: 0x1_2345_6000,
            end: 0x1_2345_8000,
            kind: MemoryKind::AcpiTables,
        });
        page.set_memory_map(&map).unwrap();
        let entry = &page.bytes()[0x2d0..];
        assert_eq!(u64_at(entry, 0), Some(0x1_2345_6000));
        assert_eq!(
            (u64_at(entry, 8), u32_at(entry, 16)),
            (Some(0x2000), Some(3))
        );
    }

    #[test]
    fn a_screen_of_pixels_is_described_with_its_whole_address() {
        let channel = |shift| Channel { shift, size: 8 };
        let mut page = BootParams::new(&[]);
        page.set_display(Display::Pixels(Framebuffer {
            address: 0x80_c000_0000,
            pitch: 4096,
            width: 1024,
            height: 768,
            format: PixelFormat::direct(32, [16, 8, 0].map(channel)).unwrap(),
        }));
        let bytes = page.bytes();
        let halves = [0x12, 0x14, 0x16, 0x24].map(|at| u16_at(bytes, at).unwrap());
        assert_eq!(halves, [1024, 768, 32, 4096]);
        assert_eq!(
            (u32_at(bytes, 0x18), u32_at(bytes, 0x3a)),
            (Some(0xc000_0000), Some(0x80))
        );
        assert_eq!(u32_at(bytes, 0x1c), Some(4096 * 768));
        assert_eq!(bytes[0x26..0x2c], [8, 16, 8, 8, 8, 0]);
        assert_eq!(bytes[0x0f], 0x70);
    }
}
