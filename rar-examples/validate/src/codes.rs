//! The size of the codes on a screen.

use rar_report::Symbol;

/// A photo of a screen whose modules have fewer pixels is read less surely: a panel that enlarges a
/// small mode blurs half a pixel at each edge.
const SURE_PIXELS: u32 = 3;

/// Returns the largest codes that a screen shows well, or at all: the report takes fewer of them.
///
/// `pixels` returns how many pixels a module of a square with that many modules gets on the screen,
/// if the square fits.
#[must_use]
pub fn fitting_symbol(pixels: impl Fn(u32) -> Option<u32>) -> Option<Symbol> {
    let largest = |least| {
        let mut symbols = (Symbol::MIN..=Symbol::DEFAULT.version())
            .rev()
            .filter_map(Symbol::new);
        symbols.find(|symbol| pixels(symbol.modules()).is_some_and(|pixels| pixels >= least))
    };
    largest(SURE_PIXELS).or_else(|| largest(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rar_kernel::{place, text_zoom};

    /// Returns the version and the pixels of a module on a screen, with the kernel's font.
    fn on(width: u32, height: u32) -> Option<(u8, u32)> {
        let zoom = text_zoom(width, height);
        let pixels = |side| place(side, (width, height), (7 * zoom, 16 * zoom)).map(|at| at.scale);
        let symbol = fitting_symbol(pixels)?;
        Some((symbol.version(), pixels(symbol.modules())?))
    }

    #[test]
    fn a_small_screen_has_smaller_codes_and_no_usual_one_has_none() {
        for (width, height, version, pixels) in [
            (320, 200, 10, 3),
            (320, 240, 11, 3),
            (512, 384, 13, 4),
            (640, 400, 13, 5),
            (640, 480, 13, 6),
            (720, 400, 13, 5),
            (800, 600, 13, 7),
            (1280, 800, 13, 10),
            (1080, 1920, 13, 14),
            (3840, 2160, 13, 28),
        ] {
            let what = format!("{width}x{height}");
            assert_eq!(on(width, height), Some((version, pixels)), "{what}");
        }
    }

    #[test]
    fn two_pixels_a_module_are_better_than_no_code() {
        assert_eq!(on(240, 112), Some((7, 2)));
        assert_eq!(on(160, 80), None);
        assert_eq!(fitting_symbol(|_| None), None);
    }
}
