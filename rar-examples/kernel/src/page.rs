//! A full-screen page: a square of modules, such as a QR code, and a few lines of text.

use core::fmt;

/// Characters of a line of the text beside a page on a usual screen.
pub const CAPTION_COLUMNS: u32 = 24;
/// Characters of a line where the screen has few pixels.
pub const NARROW_CAPTION_COLUMNS: u32 = 16;
/// Rows of text below a page.
pub const CAPTION_ROWS: u32 = 24;
/// The text takes this share of the screen's width at most, or it is narrow.
const CAPTION_SHARE: u32 = 3;

/// What a page shows.
pub trait Page {
    /// Returns how many modules the square has on a side.
    fn side(&self) -> u32;

    /// Returns whether a module is dark.
    fn is_dark(&self, x: u32, y: u32) -> bool;

    /// Writes the text beside the square, the most important first: at most [`CAPTION_ROWS`] lines
    /// of [`CAPTION_COLUMNS`] characters. Longer lines are broken, and what has no room is cut.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    fn caption(&self, to: &mut dyn fmt::Write) -> fmt::Result;
}

/// Where a square lies on a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Pixels of a module on a side.
    pub scale: u32,
    /// The left edge of the first module.
    pub left: u32,
    /// The upper edge of the first module.
    pub top: u32,
    /// Where the text begins.
    pub text_left: u32,
    /// The first row of pixels of the text.
    pub text_top: u32,
    /// Characters of a line of the text.
    pub text_columns: u32,
}

/// Empty modules around a QR code (ISO/IEC 18004: four).
const QUIET: u32 = 4;

/// Places a square as large as possible with its quiet zone on a screen of these pixels: the text,
/// whose characters have the pixels `character`, goes to its right on a wide screen, or below it
/// on a high one.
///
/// Returns `None` where a module would have less than two pixels on a side, which no camera reads.
#[must_use]
pub fn place(side: u32, (width, height): (u32, u32), character: (u32, u32)) -> Option<Placement> {
    let modules = side.checked_add(2 * QUIET)?;
    let usual = CAPTION_COLUMNS * character.0;
    let text_columns = match usual * CAPTION_SHARE <= width {
        true => CAPTION_COLUMNS,
        false => NARROW_CAPTION_COLUMNS,
    };
    let text_width = text_columns * character.0;
    let text_height = CAPTION_ROWS * character.1;
    let beside = height.min(width.saturating_sub(text_width)) / modules;
    let above = width.min(height.saturating_sub(text_height)) / modules;
    let scale = beside.max(above);
    if side == 0 || scale < 2 {
        return None;
    }
    let square = modules * scale;
    let wide = beside >= above;
    let top = if wide { (height - square) / 2 } else { 0 };
    Some(Placement {
        scale,
        left: QUIET * scale,
        top: top + QUIET * scale,
        text_left: if wide { square } else { QUIET * scale },
        text_top: if wide { QUIET * scale } else { square },
        text_columns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARACTER: (u32, u32) = (7, 16);

    #[test]
    fn the_square_and_its_quiet_zone_lie_on_the_screen() {
        for side in [21, 37, 77, 177] {
            for screen in [
                (320, 200),
                (640, 480),
                (800, 600),
                (1024, 768),
                (3840, 2160),
                (768, 1024),
            ] {
                let (width, height) = screen;
                let Some(at) = place(side, screen, CHARACTER) else {
                    assert!(side > 37 && height <= 480, "{side} {width} {height}");
                    continue;
                };
                let quiet = QUIET * at.scale;
                let square = side * at.scale;
                assert!(
                    at.left >= quiet && at.left + square + quiet <= width,
                    "{at:?}"
                );
                assert!(
                    at.top >= quiet && at.top + square + quiet <= height,
                    "{at:?}"
                );
                let text = at.text_columns * CHARACTER.0;
                let beside =
                    at.text_left >= at.left + square + quiet && at.text_left + text <= width;
                let below = at.text_top >= at.top + square + quiet
                    && at.text_top + CAPTION_ROWS * CHARACTER.1 <= height;
                assert!(beside || below, "{at:?} {width} {height}");
            }
        }
    }

    #[test]
    fn the_text_is_narrow_where_pixels_are_few() {
        let columns = |screen| place(37, screen, CHARACTER).unwrap().text_columns;
        assert_eq!(columns((320, 200)), NARROW_CAPTION_COLUMNS);
        assert_eq!(columns((640, 400)), CAPTION_COLUMNS);
    }

    #[test]
    fn what_no_camera_reads_is_not_shown() {
        assert_eq!(place(177, (320, 200), CHARACTER), None);
        assert_eq!(place(0, (640, 480), CHARACTER), None);
        assert_eq!(place(u32::MAX, (640, 480), CHARACTER), None);
    }
}
