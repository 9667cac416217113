//! How large text is on a screen of pixels.

/// A screen shows characters of the font as they are up to twice these sizes.
const USUAL: (u32, u32) = (960, 720);

/// Returns how many pixels of the screen, on each side, stand for one of the font: text takes about
/// the same share of a panel whatever its mode.
#[must_use]
pub fn text_zoom(width: u32, height: u32) -> u32 {
    (width / USUAL.0).min(height / USUAL.1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_grows_with_the_screen() {
        for (width, height, zoom) in [
            (320, 200, 1),
            (1280, 800, 1),
            (1920, 1080, 1),
            (2560, 1440, 2),
            (3440, 1440, 2),
            (3840, 2160, 3),
            (2160, 3840, 2),
            (7680, 4320, 6),
        ] {
            assert_eq!(text_zoom(width, height), zoom, "{width}x{height}");
        }
    }

    #[test]
    fn no_screen_has_more_than_ninety_rows_of_sixteen_pixels() {
        for height in 1..=8640 {
            let row = 16 * text_zoom(16 * height / 9, height);
            assert!(height / row <= 90, "{height}");
        }
    }
}
