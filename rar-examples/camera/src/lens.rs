//! The effects of a lens, a sensor and a file on a picture.

use jpeg_encoder::{ColorType, Encoder};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::Picture;
use crate::numbers::{coordinate, pixels, shade};

/// Returns the picture out of focus: blurred by a Gaussian of this width in pixels.
#[must_use]
pub fn blurred(picture: &Picture, sigma: f64) -> Picture {
    let reach = isize::try_from(pixels(3.0 * sigma)).unwrap_or_default();
    let weights: Vec<_> = (-reach..=reach)
        .map(|at| (at, (-0.5 * (at as f64 / sigma).powi(2)).exp()))
        .collect();
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let spread = |picture: &Picture, right: isize, down: isize| {
        Picture::new(picture.width(), picture.height(), |x, y| {
            let (Ok(x), Ok(y)) = (isize::try_from(x), isize::try_from(y)) else {
                return 0;
            };
            let sum: f64 = weights
                .iter()
                .map(|(at, weight)| {
                    weight * f64::from(picture.shade(x + at * right, y + at * down))
                })
                .sum();
            shade(sum / total)
        })
    };
    spread(&spread(picture, 1, 0), 0, 1)
}

/// Returns the picture with light from the left, so that the right side is darker by a share, and
/// with sensor noise on each pixel.
#[must_use]
pub fn lit(picture: &Picture, darker: f64, noise: f64) -> Picture {
    let width = coordinate(picture.width());
    let mut random = 1_u32;
    Picture::new(picture.width(), picture.height(), |x, y| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let seen = picture.pixels().get(y * picture.width() + x);
        let light = 1.0 - darker * coordinate(x) / width;
        let grain = (f64::from(random >> 8) / f64::from(1 << 24) - 0.5) * 2.0 * noise;
        shade(f64::from(seen.copied().unwrap_or_default()) * light + grain)
    })
}

/// Returns the picture after a JPEG file of this quality, 1 to 100; `None` if it cannot be written.
#[must_use]
pub fn stored(picture: &Picture, quality: u8) -> Picture {
    let pixels = through_file(picture, quality).unwrap_or_default();
    Picture::new(picture.width(), picture.height(), |x, y| {
        pixels
            .get(y * picture.width() + x)
            .copied()
            .unwrap_or_default()
    })
}

fn through_file(picture: &Picture, quality: u8) -> Option<Vec<u8>> {
    let mut file = Vec::new();
    let width = u16::try_from(picture.width()).ok()?;
    let height = u16::try_from(picture.height()).ok()?;
    Encoder::new(&mut file, quality)
        .encode(picture.pixels(), width, height, ColorType::Luma)
        .ok()?;
    let grey = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::Luma);
    JpegDecoder::new_with_options(ZCursor::new(&file), grey)
        .decode()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> Picture {
        Picture::new(32, 32, |x, _| if x < 16 { 0 } else { 255 })
    }

    #[test]
    fn an_edge_out_of_focus_is_a_slope() {
        let blurred = blurred(&edge(), 2.0);
        let row: Vec<_> = (8..24).map(|x| blurred.shade(x, 16)).collect();
        assert!(row.is_sorted() && row[6] > 10 && row[9] < 245, "{row:?}");
        assert!(row[7].abs_diff(255 - row[8]) <= 1, "{row:?}");
    }

    #[test]
    fn light_falls_off_and_noise_stays_within_its_bounds() {
        let white = Picture::new(100, 2, |_, _| 200);
        let lit = lit(&white, 0.5, 10.0);
        assert!(lit.shade(0, 0) >= 190 && lit.shade(99, 1) <= 112, "{lit:?}");
        assert_ne!(lit.shade(0, 0), lit.shade(0, 1));
    }

    #[test]
    fn a_file_loses_something_but_not_the_picture() {
        let picture = Picture::new(
            40,
            24,
            |x, y| if (x / 3 + y / 3) % 2 == 0 { 30 } else { 220 },
        );
        let stored = stored(&picture, 50);
        assert_ne!(stored, picture);
        let pairs = stored.pixels().iter().zip(picture.pixels());
        let error: u32 = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        assert!(error / (40 * 24) < 20, "{error}");
    }
}
