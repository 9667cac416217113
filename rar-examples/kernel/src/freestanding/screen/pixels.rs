//! A framebuffer, mapped and written pixel by pixel.

use core::fmt::{self, Write};

use super::glyph;
use crate::freestanding::int::word;
use crate::freestanding::paging::{self, MapError};
use crate::{
    Bar, COUNT_COLUMNS, Cell, Framebuffer, Ink, LABEL_COLUMNS, Page, PlacedRow, Placement, Sheet,
    SheetLayout, SheetRow, Wrap, place, text_zoom, wrap,
};

type Colour = [u8; 3];

const PAPER: Colour = [0x10, 0x14, 0x20];
const HEAD_PAPER: Colour = [0x20, 0x3c, 0x68];
const WHITE: Colour = [0xff; 3];
const BLACK: Colour = [0; 3];

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
            zoom: text_zoom(screen.width, screen.height),
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

    /// Fills a rectangle, or what of it lies on the screen.
    fn fill(&self, left: u32, top: u32, width: u32, height: u32, colour: Colour) {
        let pixel = self.screen.format.pixel(colour);
        let width = width.min(self.screen.width.saturating_sub(left));
        for y in top..top.saturating_add(height).min(self.screen.height) {
            self.fill_row(left, y, width, pixel);
        }
    }

    /// Fills some pixels of a row; all of them lie on the screen.
    fn fill_row(&self, left: u32, y: u32, width: u32, pixel: u32) {
        let [a, b, c, d] = pixel.to_le_bytes();
        let last = left.saturating_add(width).saturating_sub(1);
        let Some(offset) = self.screen.offset(left, y) else {
            return;
        };
        if self.screen.offset(last, y).is_none() {
            return;
        }
        // SAFETY: `offset` lies inside the screen, which is mapped whole.
        let at = unsafe { self.base.add(word(offset)) };
        match self.screen.format.bytes() {
            // SAFETY: the first and the last pixel lie in one row of the screen.
            1 => unsafe { fill_with(at, width, [a]) },
            // SAFETY: as above.
            2 => unsafe { fill_with(at, width, [a, b]) },
            // SAFETY: as above.
            3 => unsafe { fill_with(at, width, [a, b, c]) },
            // SAFETY: as above.
            _ => unsafe { fill_with(at, width, [a, b, c, d]) },
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

    /// Returns how a sheet fills the screen.
    pub(super) fn layout(&self, sheet: &dyn Sheet) -> SheetLayout {
        let screen = (self.screen.width, self.screen.height);
        SheetLayout::new(sheet, screen, (glyph::WIDTH, glyph::HEIGHT))
    }

    /// Fills the screen with a page of a sheet.
    pub(super) fn show_sheet(&self, sheet: &dyn Sheet, number: u32) {
        self.clear();
        let layout = self.layout(sheet);
        let left = glyph::WIDTH * layout.text;
        layout.page(sheet, number, &mut |placed| {
            let PlacedRow { top, zoom, .. } = placed;
            let spot = Spot { left, top, zoom };
            match placed.row {
                SheetRow::Title(ink, text) | SheetRow::Line(ink, text) => {
                    self.text(spot, colours(ink), placed.columns, text);
                }
                SheetRow::Bar(bar) => self.bar(bar, spot),
                SheetRow::Gap => {}
            }
        });
        if layout.pages > 1 {
            let zoom = layout.text;
            let row = glyph::HEIGHT * zoom;
            let top = self.screen.height.saturating_sub(row);
            let spot = Spot { left, top, zoom };
            let text = format_args!("page {} of {}", number + 1, layout.pages);
            self.text(spot, colours(Ink::Faint), u32::MAX, text);
        }
    }

    /// Writes text in lines of at most `columns`.
    fn text(&self, at: Spot, colours: (Colour, Colour), columns: u32, text: fmt::Arguments<'_>) {
        let mut pen = Pen::new(self, at, colours);
        wrap(text, columns, |character| pen.put(character));
    }

    /// Draws a label, a count, and a bar.
    fn bar(&self, bar: Bar<'_>, at: Spot) {
        let (label, count) = (LABEL_COLUMNS as usize, COUNT_COLUMNS as usize - 1);
        let mut pen = Pen::new(self, at, colours(bar.ink));
        // A pen cannot fail.
        let _ = write!(pen, "{:label$}{:count$} ", bar.label, bar.count);
        let right = self.screen.width.saturating_sub(at.left);
        let room = right.saturating_sub(pen.at.left);
        // Lines of text are less high than their rows, and so is the bar.
        let slack = glyph::HEIGHT * at.zoom / 6;
        let height = glyph::HEIGHT * at.zoom - 2 * slack;
        let (ink, _) = colours(bar.ink);
        self.fill(pen.at.left, at.top + slack, bar.length(room), height, ink);
    }

    /// Returns where a square of that many modules goes, if they are large enough to be read.
    pub(super) fn place(&self, side: u32) -> Option<Placement> {
        let screen = (self.screen.width, self.screen.height);
        place(side, screen, self.character())
    }

    /// Fills the screen with a page; returns whether its modules are large enough to be read.
    pub(super) fn show(&self, page: &dyn Page) -> bool {
        let (width, height) = (self.screen.width, self.screen.height);
        let Some(at) = self.place(page.side()) else {
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
        let mut lines = Wrap::new(at.text_columns, |character| pen.put(character));
        // Neither lines nor a pen can fail.
        let _ = page.caption(&mut lines);
        lines.finish();
        true
    }
}

/// Stores the same pixel `count` times.
///
/// # Safety
///
/// All of these pixels lie on the screen, which is mapped.
unsafe fn fill_with<const BYTES: usize>(at: *mut u8, count: u32, pixel: [u8; BYTES]) {
    let first = at.cast::<[u8; BYTES]>();
    for number in 0..count {
        // SAFETY: the caller's promise.
        let at = unsafe { first.add(number as usize) };
        // SAFETY: as above; bytes may lie anywhere.
        unsafe { at.write_volatile(pixel) };
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

impl Pen<'_> {
    fn put(&mut self, character: char) {
        if character == '\n' {
            self.at.left = self.margin;
            self.at.top += glyph::HEIGHT * self.at.zoom;
        } else {
            self.pixels.glyph(character, self.at, self.colours);
            self.at.left += glyph::WIDTH * self.at.zoom;
        }
    }
}

impl Write for Pen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().for_each(|character| self.put(character));
        Ok(())
    }
}
