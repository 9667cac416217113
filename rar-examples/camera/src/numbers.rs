//! From pixels to numbers between them, and back.

/// Returns the number of a pixel as a coordinate.
pub(crate) fn coordinate(pixel: usize) -> f64 {
    // No picture has as many pixels in a row.
    u32::try_from(pixel).map_or(f64::MAX, f64::from)
}

/// Returns the pixel at or before a coordinate, and the share of the way to the next one.
pub(crate) fn fraction(at: f64) -> (isize, f64) {
    let whole = at.floor();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is not near the picture saturates far away from it"
    )]
    let pixel = whole as i32 as isize;
    (pixel, at - whole)
}

/// Returns how many whole pixels there are up to a coordinate.
pub(crate) fn pixels(length: f64) -> usize {
    usize::try_from(fraction(length.ceil()).0).unwrap_or_default()
}

/// Returns the shade nearest to a number.
pub(crate) fn shade(value: f64) -> u8 {
    u8::try_from(fraction(value + 0.5).0.clamp(0, 255)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_bounded() {
        assert_eq!(fraction(-0.25), (-1, 0.75));
        assert_eq!(
            [shade(-3.0), shade(1.4), shade(1.6), shade(999.0)],
            [0, 1, 2, 255]
        );
        assert_eq!([pixels(-1.0), pixels(2.0), pixels(2.1)], [0, 2, 3]);
        assert_eq!(coordinate(7), 7.0);
    }
}
