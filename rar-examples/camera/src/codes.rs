//! The decoder that needs nothing installed.

use crate::Picture;

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
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(picture.width(), picture.height(), |x, y| {
            picture
                .pixels()
                .get(y * picture.width() + x)
                .copied()
                .unwrap_or_default()
        });
    prepared
        .detect_grids()
        .iter()
        .filter_map(|grid| grid.decode().ok())
        .map(|(_, text)| text)
        .collect()
}
