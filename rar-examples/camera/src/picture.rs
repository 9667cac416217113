//! Pictures in shades of grey.

use std::fmt;

/// The shade around a screen: neither black nor white, so that both have an edge.
const SURROUNDINGS: u8 = 40;

/// A picture in shades of grey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// The bytes are not a picture in the format that QEMU writes: binary PPM with 255 as the greatest
/// value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPpm {
    /// How many bytes there are.
    pub length: usize,
}

impl fmt::Display for NotPpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes are no picture: give a binary PPM file (P6) with 255 as its greatest value",
            self.length
        )
    }
}

impl std::error::Error for NotPpm {}

impl Picture {
    /// Makes a picture of this size. `shade` returns each pixel, row by row.
    #[must_use]
    pub fn new(width: usize, height: usize, mut shade: impl FnMut(usize, usize) -> u8) -> Self {
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            pixels.extend((0..width).map(|x| shade(x, y)));
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Reads a screenshot.
    ///
    /// # Errors
    ///
    /// [`NotPpm`] if the bytes are not one, or are truncated.
    pub fn from_ppm(bytes: &[u8]) -> Result<Self, NotPpm> {
        parse(bytes).ok_or(NotPpm {
            length: bytes.len(),
        })
    }

    /// Returns the picture as a PGM file, which most programs for pictures read.
    #[must_use]
    pub fn to_pgm(&self) -> Vec<u8> {
        let mut file = format!("P5 {} {} 255\n", self.width, self.height).into_bytes();
        file.extend_from_slice(&self.pixels);
        file
    }

    /// Returns how many pixels a row has.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Returns how many rows there are.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// Returns all pixels, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns the picture with an inverted square. No camera does so, and every reader must detect
    /// it.
    #[must_use]
    pub fn blotted(&self, centre: (usize, usize), side: usize) -> Self {
        let inside = |at: usize, centre: usize| at.abs_diff(centre) < side.div_ceil(2);
        let mut pixels = self.pixels.iter();
        Self::new(self.width, self.height, |x, y| {
            let shade = pixels.next().copied().unwrap_or_default();
            if inside(x, centre.0) && inside(y, centre.1) {
                u8::MAX - shade
            } else {
                shade
            }
        })
    }

    /// Returns the shade of a pixel, 255 for white; outside the picture it is dark.
    #[must_use]
    pub fn shade(&self, x: isize, y: isize) -> u8 {
        let inside = |at: isize, size| usize::try_from(at).ok().filter(|at| *at < size);
        inside(x, self.width)
            .zip(inside(y, self.height))
            .and_then(|(x, y)| self.pixels.get(y * self.width + x))
            .copied()
            .unwrap_or(SURROUNDINGS)
    }
}

/// Reads the head, then three bytes a pixel.
fn parse(bytes: &[u8]) -> Option<Picture> {
    let mut rest = bytes.strip_prefix(b"P6")?;
    let mut numbers = [0_usize; 3];
    for number in &mut numbers {
        rest = rest.trim_ascii_start();
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = rest.split_at_checked(length)?;
        *number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        rest = after;
    }
    let [width, height, most] = numbers;
    // One byte of white space ends the head: the next byte may be a pixel that looks like white
    // space.
    let (_, colours) = rest.split_first()?;
    let (colours, _) = colours.as_chunks::<3>();
    if most != 255 || width == 0 || width.checked_mul(height)? != colours.len() {
        return None;
    }
    let pixels = colours.iter().map(|colour| grey(*colour)).collect();
    Some(Picture {
        width,
        height,
        pixels,
    })
}

/// Returns how bright a colour is (ITU-R BT.601, in 256ths).
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue);
    u8::try_from(sum / 256).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screenshot_is_read() {
        let file = b"P6\n2 1\n255\n\x20\x20\x20\xFF\xFF\xFF";
        let picture = Picture::from_ppm(file).unwrap();
        assert_eq!((picture.width(), picture.height()), (2, 1));
        assert_eq!(picture.pixels(), [32, 255]);
        assert_eq!(picture.to_pgm(), b"P5 2 1 255\n\x20\xFF");
        assert_eq!(picture.shade(-1, 0), SURROUNDINGS);
        assert_eq!(picture.shade(1, 0), 255);
    }

    #[test]
    fn a_blot_inverts_a_square() {
        let picture = Picture::new(5, 3, |_, _| 255).blotted((3, 1), 3);
        let dark: Vec<_> = (0..15).filter(|at| picture.pixels()[*at] == 0).collect();
        assert_eq!(dark, [2, 3, 4, 7, 8, 9, 12, 13, 14]);
    }

    #[test]
    fn what_is_no_screenshot_is_refused() {
        let whole = b"P6 2 1 255\nabcdef";
        assert!(Picture::from_ppm(whole).is_ok());
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert_eq!(Picture::from_ppm(cut), Err(NotPpm { length }));
        }
        for other in [
            &b"P5 2 1 255\nabcdef"[..],
            b"P6 2 1 65535\nabcdef",
            b"P6 -2 1 255\nabcdef",
        ] {
            assert!(Picture::from_ppm(other).is_err(), "{other:?}");
        }
    }
}
