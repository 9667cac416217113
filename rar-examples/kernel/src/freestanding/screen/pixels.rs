//! A framebuffer, mapped and written pixel by pixel.

use core::fmt::{self, Write};

use super::glyph;
use crate::freestanding::int::word;
use crate::freestanding::paging::{self, MapError};
use crate::{CAPTION_COLUMNS, CAPTION_ROWS, Cell, Framebuffer, Page, place};

const PAPER: [u8; 3] = [0x10, 0x14, 0x20];
const INK: [u8; 3] = [0xE8, 0xE8, 0xE0];
const WHITE: [u8; 3] = [0xFF; 3];
const BLACK: [u8; 3] = [0; 3];
/// A screen with more pixels in a row shows larger characters.
const PIXELS_FOR_TWICE: u32 = 2400;

/// A framebuffer.
pub(super) struct Pixels {
    screen: Framebuffer,
    base: *mut u8,
    /// Pixels of the screen for one of the font, on each side.
    zoom: u32,
}

// SAFETY: the memory is mapped on every CPU forever, and the lock of the screen lets one CPU write
// at a time.
unsafe impl Send for Pixels {}

impl Pixels {
    /// Maps the memory.
    pub(super) fn map(screen: Framebuffer) -> Result<Self, MapError> {
        let base = paging::map_screen(screen.address, screen.length())?;
        Ok(Self {
            screen,
            base: core::ptr::with_exposed_provenance_mut(word(base)),
            zoom: if screen.width >= PIXELS_FOR_TWICE {
                2
            } else {
                1
            },
        })
    }

    /// Returns how many characters fit: columns and rows.
    pub(super) fn cells(&self) -> (usize, usize) {
        let (width, height) = self.character();
        (
            (self.screen.width / width) as usize,
            (self.screen.height / height) as usize,
        )
    }

    pub(super) fn framebuffer(&self) -> Framebuffer {
        self.screen
    }

    /// Paints everything with the paper of the text.
    pub(super) fn clear(&self) {
        self.fill(0, 0, self.screen.width, self.screen.height, PAPER);
    }

    fn character(&self) -> (u32, u32) {
        (glyph::WIDTH * self.zoom, glyph::HEIGHT * self.zoom)
    }

    fn set(&self, x: u32, y: u32, pixel: u32) {
        let Some(offset) = self.screen.offset(x, y) else {
            return;
        };
        // SAFETY: `offset` lies inside the screen, which is mapped whole.
        let at = unsafe { self.base.add(word(offset)) };
        let [blue, green, red, _] = pixel.to_le_bytes();
        if self.screen.bytes == 4 {
            // SAFETY: as above; a pixel of four bytes ends inside the row, and x86 knows no
            // misaligned store here.
            unsafe { at.cast::<[u8; 4]>().write_volatile(pixel.to_le_bytes()) };
        } else {
            // SAFETY: as above, with three bytes.
            unsafe { at.cast::<[u8; 3]>().write_volatile([blue, green, red]) };
        }
    }

    fn fill(&self, left: u32, top: u32, width: u32, height: u32, colour: [u8; 3]) {
        let pixel = self.screen.pixel(colour);
        for y in top..top + height {
            for x in left..left + width {
                self.set(x, y, pixel);
            }
        }
    }

    fn glyph(&self, character: char, left: u32, top: u32, ink: [u8; 3], paper: [u8; 3]) {
        let mut rows = glyph::rows(character);
        for y in 0..glyph::HEIGHT {
            let row = rows.next().unwrap_or_default();
            for x in 0..glyph::WIDTH {
                let brightness = row.get(x as usize).copied().unwrap_or(0);
                let colour = mix(ink, paper, brightness);
                let (left, top) = (left + x * self.zoom, top + y * self.zoom);
                self.fill(left, top, self.zoom, self.zoom, colour);
            }
        }
    }

    /// Draws one character of the text.
    pub(super) fn draw(&self, cell: Cell) {
        let (width, height) = self.character();
        let at = |number: usize, size| {
            u32::try_from(number)
                .unwrap_or(u32::MAX)
                .saturating_mul(size)
        };
        let (left, top) = (at(cell.column, width), at(cell.row, height));
        self.glyph(char::from(cell.character), left, top, INK, PAPER);
    }

    /// Fills the screen with a page; returns whether its modules are large enough to be read.
    pub(super) fn show(&self, page: &dyn Page) -> bool {
        let (character_width, character_height) = self.character();
        let text = (
            CAPTION_COLUMNS * character_width,
            CAPTION_ROWS * character_height,
        );
        let (width, height) = (self.screen.width, self.screen.height);
        let Some(at) = place(page.side(), width, height, text) else {
            return false;
        };
        self.fill(0, 0, width, height, WHITE);
        for y in 0..page.side() {
            for x in 0..page.side() {
                if page.is_dark(x, y) {
                    let (left, top) = (at.left + x * at.scale, at.top + y * at.scale);
                    self.fill(left, top, at.scale, at.scale, BLACK);
                }
            }
        }
        let mut pen = Pen {
            pixels: self,
            margin: at.text_left,
            left: at.text_left,
            top: at.text_top,
        };
        // A pen cannot fail.
        let _ = page.caption(&mut pen);
        true
    }
}

/// Returns the colour between two: 255 is all ink.
fn mix(ink: [u8; 3], paper: [u8; 3], brightness: u8) -> [u8; 3] {
    let mut mixed = paper;
    for (mixed, ink) in mixed.iter_mut().zip(ink) {
        let (share, rest) = (u32::from(brightness), u32::from(u8::MAX - brightness));
        let value = (u32::from(ink) * share + u32::from(*mixed) * rest) / u32::from(u8::MAX);
        *mixed = u8::try_from(value).unwrap_or(u8::MAX);
    }
    mixed
}

/// Writes dark text on a page.
struct Pen<'p> {
    pixels: &'p Pixels,
    margin: u32,
    left: u32,
    top: u32,
}

impl Write for Pen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (width, height) = self.pixels.character();
        for character in text.chars() {
            if character == '\n' {
                (self.left, self.top) = (self.margin, self.top + height);
            } else {
                self.pixels
                    .glyph(character, self.left, self.top, BLACK, WHITE);
                self.left += width;
            }
        }
        Ok(())
    }
}
