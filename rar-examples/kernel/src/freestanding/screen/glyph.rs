//! The font: one raster for each printable character.

use noto_sans_mono_bitmap::{
    FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width,
};

const SIZE: RasterHeight = RasterHeight::Size16;

/// Pixels of a character from top to bottom.
pub(super) const HEIGHT: u32 = 16;
/// Pixels of a character from left to right.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a character is a few pixels wide"
)]
pub(super) const WIDTH: u32 = get_raster_width(FontWeight::Regular, SIZE) as u32;

/// Returns the rows of a character's brightness; one that the font lacks has none.
pub(super) fn rows(character: char) -> impl Iterator<Item = &'static [u8]> {
    get_raster(character, FontWeight::Regular, SIZE)
        .as_ref()
        .map(RasterizedChar::rows)
        .into_iter()
        .flatten()
}
