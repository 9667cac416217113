//! A decoder that needs no installed program.

use crate::Picture;
use crate::ink::Ink;
use crate::view::View;

/// The sizes at which the decoder tries a picture until it reads a code. The decoder extrapolates
/// the fourth corner of a code from the other three, and may take a single dark module near it for
/// the mark. The error depends on the size.
const SIZES: [f64; 4] = [1.0, 2.0, 0.75, 0.5];

/// Returns the texts of the QR codes that can be read in a picture.
///
/// # Examples
///
/// ```
/// use rar_camera::{Picture, read_codes};
///
/// let blank = Picture::new(64, 48, |_, _| 255);
/// assert!(read_codes(&blank).is_empty());
/// ```
#[must_use]
pub fn read_codes(picture: &Picture) -> Vec<String> {
    let attempts = SIZES.iter().map(|size| match size {
        1.0 => read(picture),
        size => read(&View::far(*size).of(picture)),
    });
    attempts
        .into_iter()
        .find(|texts| !texts.is_empty())
        .unwrap_or_default()
}

fn read(picture: &Picture) -> Vec<String> {
    let ink = Ink::of(picture);
    let (width, height) = (picture.width(), picture.height());
    rqrr::PreparedImage::prepare_from_bitmap(width, height, |x, y| ink.is_dark(x, y))
        .detect_grids()
        .iter()
        .filter_map(|grid| grid.decode().ok())
        .map(|(_, text)| text)
        .collect()
}
