//! The boot information: a list of tags ("Boot information format").

use rar_kernel::{Channel, Display, MemoryKind, MemoryMap};

use crate::error::PayloadError;
use crate::handover::Handover;

pub(super) const COMMAND_LINE: u32 = 1;
pub(super) const LOADER: u32 = 2;
const MODULE: u32 = 3;
const AMOUNT: u32 = 4;
const MEMORY_MAP: u32 = 6;
const FRAMEBUFFER: u32 = 8;
const ACPI_OLD: u32 = 14;
const ACPI_NEW: u32 = 15;
const END: u32 = 0;

const MAP_ENTRY: u32 = 24;
const OLD_RSDP: usize = 20;
const RSDP_REVISION: usize = 15;
const PIXELS: u8 = 1;
const TEXT: u8 = 2;
const FIRST_MEBIBYTE: u64 = 1 << 20;

/// The list, while it is written: nothing else goes into the handover meanwhile.
pub(super) struct Information<'h, 'm> {
    handover: &'h mut Handover<'m>,
    start: u64,
}

impl<'h, 'm> Information<'h, 'm> {
    pub(super) fn begin(handover: &'h mut Handover<'m>) -> Result<Self, PayloadError> {
        let start = handover.reserve(8, 8)?;
        Ok(Self { handover, start })
    }

    /// Adds a tag of these parts.
    fn tag(&mut self, kind: u32, parts: &[&[u8]]) -> Result<(), PayloadError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let size = u32::try_from(length).unwrap_or(u32::MAX).saturating_add(8);
        self.handover.add(&kind.to_le_bytes(), 8)?;
        self.handover.add(&size.to_le_bytes(), 1)?;
        for part in parts {
            self.handover.add(part, 1)?;
        }
        Ok(())
    }

    pub(super) fn text(&mut self, kind: u32, text: &str) -> Result<(), PayloadError> {
        self.tag(kind, &[text.as_bytes(), &[0]])
    }

    pub(super) fn module(&mut self, start: u64, end: u64, line: &str) -> Result<(), PayloadError> {
        let (start, end) = (low(start), low(end));
        self.tag(MODULE, &[&start, &end, line.as_bytes(), &[0]])
    }

    /// Adds the memory map, and the amounts of memory from 0 and from 1 MiB on, in KiB.
    pub(super) fn memory(&mut self, map: &MemoryMap) -> Result<(), PayloadError> {
        let usable = |start| {
            let mut regions = map.regions().iter();
            let region =
                regions.find(|region| region.kind == MemoryKind::Usable && region.start == start);
            region.map_or(0, |region| (region.end - start) / 1024)
        };
        let (lower, upper) = (usable(0).min(640), usable(FIRST_MEBIBYTE));
        self.tag(AMOUNT, &[&low(lower), &low(upper)])?;
        let count = u32::try_from(map.regions().len()).unwrap_or(0);
        let size = 16 + count * MAP_ENTRY;
        self.handover.add(&MEMORY_MAP.to_le_bytes(), 8)?;
        for word in [size, MAP_ENTRY, 0] {
            self.handover.add(&word.to_le_bytes(), 1)?;
        }
        for region in map.regions() {
            self.handover.add(&region.start.to_le_bytes(), 1)?;
            let length = region.end - region.start;
            self.handover.add(&length.to_le_bytes(), 1)?;
            let kind = u64::from(region.kind.e820());
            self.handover.add(&kind.to_le_bytes(), 1)?;
        }
        Ok(())
    }

    pub(super) fn display(&mut self, display: Display) -> Result<(), PayloadError> {
        let (address, pitch, width, height) = match display {
            Display::Pixels(screen) => (screen.address, screen.pitch, screen.width, screen.height),
            Display::Text {
                address,
                pitch,
                columns,
                rows,
            } => (address, pitch, columns, rows),
        };
        let size = [pitch, width, height].map(u32::to_le_bytes);
        let size = size.as_flattened();
        match display {
            Display::Pixels(screen) => {
                let [bits, ..] = screen.format.bits.to_le_bytes();
                let colour = |channel: Channel| [channel.shift, channel.size];
                let colours =
                    [screen.format.red, screen.format.green, screen.format.blue].map(colour);
                let kind = [bits, PIXELS, 0, 0];
                let address = address.to_le_bytes();
                self.tag(
                    FRAMEBUFFER,
                    &[&address, size, &kind, colours.as_flattened()],
                )
            }
            Display::Text { .. } => {
                let kind = [16, TEXT, 0, 0];
                self.tag(FRAMEBUFFER, &[&address.to_le_bytes(), size, &kind])
            }
        }
    }

    /// Adds a copy of the root of the ACPI tables.
    pub(super) fn rsdp(&mut self, rsdp: &[u8; 36]) -> Result<(), PayloadError> {
        match rsdp.get(RSDP_REVISION) {
            Some(0) => self.tag(ACPI_OLD, &[rsdp.get(..OLD_RSDP).unwrap_or(rsdp)]),
            _ => self.tag(ACPI_NEW, &[rsdp]),
        }
    }

    /// Closes the list; returns its address.
    pub(super) fn end(mut self) -> Result<u64, PayloadError> {
        self.tag(END, &[])?;
        let after = self.handover.reserve(0, 1)?;
        let total = low(after - self.start);
        self.handover.write(self.start, &total);
        Ok(self.start)
    }
}

/// Returns the low half: all that is told lies below 4 GiB.
fn low(value: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = value.to_le_bytes();
    [a, b, c, d]
}
