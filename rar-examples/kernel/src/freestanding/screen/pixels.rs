//! A framebuffer, mapped and written pixel by pixel.

use core::fmt::{self, Write};

use super::glyph;
use crate::freestanding::int::word;
use crate::freestanding::paging::{self, MapError};
use crate::{
    Bar, CAPTION_COLUMNS, CAPTION_ROWS, COUNT_COLUMNS, Cell, Framebuffer, Ink, LABEL_COLUMNS, Page,
    Sheet, SheetLayout, SheetRow, place,
};

type Colour = [u8; 3];

const PAPER: Colour = [0x10, 0x14, 0x20];
const HEAD_PAPER: Colour = [0x20, 0x3c, 0x68];
const WHITE: Colour = [0xff; 3];
const BLACK: Colour = [0; 3];
/// A screen with more pixels in a row shows larger characters.
const PIXELS_FOR_TWICE: u32 = 2400;

/// Returns the colours of an ink and of its ground. The contrast is 4.5 at least, except for
/// [`Ink::Faint`]; red and green differ in brightness, too.
const fn colours(ink: Ink) -> (Colour, Colour) {
    match ink {
        Ink::Plain => ([0xe8, 0xe8, 0xe0], PAPER),
        Ink::Faint => ([0x80, 0x88, 0x98], PAPER),
        Ink::Good => ([0x78, 0xd0, 0x90], PAPER),
        Ink::Bad => ([0xff, 0x80, 0x70], PAPER),
        Ink::Note => ([0xf0, 0xc8, 0x60], PAPER),
        Ink::Head => ([0xff, 0xff, 0xff], HEAD_PAPER),
    }
}

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
            // SAFETY: as above; a pixel of four bytes ends inside the row, and x86 has no
            // misaligned store here.
            unsafe { at.cast::<[u8; 4]>().write_volatile(pixel.to_le_bytes()) };
        } else {
            // SAFETY: as above, with three bytes.
            unsafe { at.cast::<[u8; 3]>().write_volatile([blue, green, red]) };
        }
    }

    fn fill(&self, left: u32, top: u32, width: u32, height: u32, colour: Colour) {
        let pixel = self.screen.pixel(colour);
        for y in top..top + height {
            for x in left..left + width {
                self.set(x, y, pixel);
            }
        }
    }

    fn glyph(&self, character: char, at: Spot, (ink, paper): (Colour, Colour)) {
        let mut rows = glyph::rows(character);
        for y in 0..glyph::HEIGHT {
            let row = rows.next().unwrap_or_default();
            for x in 0..glyph::WIDTH {
                let brightness = row.get(x as usize).copied().unwrap_or(0);
                let colour = mix(ink, paper, brightness);
                let (left, top) = (at.left + x * at.zoom, at.top + y * at.zoom);
                self.fill(left, top, at.zoom, at.zoom, colour);
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
        let spot = Spot {
            left: at(cell.column, width),
            top: at(cell.row, height),
            zoom: self.zoom,
        };
        self.glyph(char::from(cell.character), spot, colours(cell.ink));
    }

    /// Fills the screen with a sheet.
    pub(super) fn show_sheet(&self, sheet: &dyn Sheet) {
        self.clear();
        let character = (glyph::WIDTH, glyph::HEIGHT);
        let (width, height) = (self.screen.width, self.screen.height);
        let layout = SheetLayout::new(sheet, (width, height), character);
        let margin = character.0 * layout.text;
        let mut top = character.1 * layout.text;
        sheet.rows(&mut |row| {
            let zoom = match row {
                SheetRow::Title(..) => layout.title,
                _ => layout.text,
            };
            let spot = Spot {
                left: margin,
                top,
                zoom,
            };
            top += character.1 * zoom;
            if top > height {
                return;
            }
            // A pen cannot fail.
            let _ = match row {
                SheetRow::Title(ink, text) | SheetRow::Line(ink, text) => {
                    Pen::new(self, spot, colours(ink)).write_fmt(text)
                }
                SheetRow::Bar(bar) => self.bar(bar, spot),
                SheetRow::Gap => Ok(()),
            };
        });
    }

    /// Draws a label, a count, and a bar.
    fn bar(&self, bar: Bar<'_>, at: Spot) -> fmt::Result {
        let (label, count) = (LABEL_COLUMNS as usize, COUNT_COLUMNS as usize - 1);
        let mut pen = Pen::new(self, at, colours(bar.ink));
        write!(pen, "{:label$}{:count$} ", bar.label, bar.count)?;
        let right = self.screen.width.saturating_sub(at.left);
        let room = right.saturating_sub(pen.at.left);
        // Lines of text are less high than their rows, and so is the bar.
        let slack = glyph::HEIGHT * at.zoom / 6;
        let height = glyph::HEIGHT * at.zoom - 2 * slack;
        let (ink, _) = colours(bar.ink);
        self.fill(pen.at.left, at.top + slack, bar.length(room), height, ink);
        Ok(())
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
        let spot = Spot {
            left: at.text_left,
            top: at.text_top,
            zoom: self.zoom,
        };
        let mut pen = Pen::new(self, spot, (BLACK, WHITE));
        // A pen cannot fail.
        let _ = page.caption(&mut pen);
        true
    }
}

/// Where a character goes.
#[derive(Clone, Copy)]
struct Spot {
    left: u32,
    top: u32,
    /// Pixels of the screen for one of the font, on each side.
    zoom: u32,
}

/// Returns the colour between two: 255 is all ink.
fn mix(ink: Colour, paper: Colour, brightness: u8) -> Colour {
    let mut mixed = paper;
    for (mixed, ink) in mixed.iter_mut().zip(ink) {
        let (share, rest) = (u32::from(brightness), u32::from(u8::MAX - brightness));
        let value = (u32::from(ink) * share + u32::from(*mixed) * rest) / u32::from(u8::MAX);
        *mixed = u8::try_from(value).unwrap_or(u8::MAX);
    }
    mixed
}

/// Writes text on a page.
struct Pen<'p> {
    pixels: &'p Pixels,
    margin: u32,
    at: Spot,
    colours: (Colour, Colour),
}

impl<'p> Pen<'p> {
    fn new(pixels: &'p Pixels, at: Spot, colours: (Colour, Colour)) -> Self {
        Self {
            pixels,
            margin: at.left,
            at,
            colours,
        }
    }
}

impl Write for Pen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character == '\n' {
                self.at.left = self.margin;
                self.at.top += glyph::HEIGHT * self.at.zoom;
            } else {
                self.pixels.glyph(character, self.at, self.colours);
                self.at.left += glyph::WIDTH * self.at.zoom;
            }
        }
        Ok(())
    }
}
