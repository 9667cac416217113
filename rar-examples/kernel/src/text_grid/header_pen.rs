//! One row of the header, written from its left.

use core::fmt;

use super::{BLANK, Glyph, Ink, shown};

/// Writes one row of the header.
pub(super) struct HeaderPen<'r> {
    cells: &'r mut [Glyph],
    ink: Ink,
    at: usize,
}

impl<'r> HeaderPen<'r> {
    pub(super) fn new(cells: &'r mut [Glyph], ink: Ink) -> Self {
        Self { cells, ink, at: 0 }
    }

    /// Blanks the rest of the row.
    pub(super) fn finish(self) {
        let ink = self.ink;
        for cell in self.cells.iter_mut().skip(self.at) {
            *cell = Glyph { ink, ..BLANK };
        }
    }
}

impl fmt::Write for HeaderPen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if let Some(cell) = self.cells.get_mut(self.at) {
                *cell = Glyph {
                    character: shown(character),
                    ink: self.ink,
                };
                self.at += 1;
            }
        }
        Ok(())
    }
}
