//! The panel that shows a mode.

use core::ops::RangeInclusive;

use crate::numbers::coordinate;
use crate::{Picture, View};

/// The rows of the panel, a usual one, where a mode is not its own.
const ROWS: usize = 1080;

/// Modes with as many rows are a panel's own, and are shown as they are.
const OWN: RangeInclusive<usize> = 720..=1440;

/// Returns what a panel shows of a screenshot: a small mode is enlarged with blurred edges, and a
/// large one is reduced.
#[must_use]
pub fn on_panel(screen: &Picture) -> Picture {
    match screen.height() {
        0 => screen.clone(),
        rows if OWN.contains(&rows) => screen.clone(),
        rows => View::far(coordinate(ROWS) / coordinate(rows)).of(screen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_and_a_large_mode_fill_it() {
        for (width, height, columns) in [(320, 200, 1728), (800, 600, 1440), (3840, 2160, 1920)] {
            let screen = Picture::new(width, height, |x, _| if x < width / 2 { 0 } else { 255 });
            let panel = on_panel(&screen);
            assert_eq!(panel.height(), ROWS);
            assert!(panel.width().abs_diff(columns) <= 1, "{}", panel.width());
            let shade = |share: usize| {
                let x = isize::try_from(panel.width() * share / 8).unwrap();
                panel.shade(x, 400)
            };
            assert_eq!([shade(1), shade(7)], [0, 255]);
        }
    }

    #[test]
    fn a_mode_of_its_own_is_shown_as_it_is() {
        for rows in [768, 800, 1024, 1080, 1200] {
            let screen = Picture::new(1280, rows, |x, y| if (x + y) % 2 == 0 { 0 } else { 255 });
            let panel = on_panel(&screen);
            assert_eq!((panel.width(), panel.height()), (1280, rows));
            assert_eq!((panel.shade(4, 4), panel.shade(5, 4)), (0, 255));
        }
    }
}
