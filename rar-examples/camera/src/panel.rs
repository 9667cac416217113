//! The panel that shows a mode.

use crate::numbers::coordinate;
use crate::{Picture, View};

/// The rows of the panel, a usual one. A code has twelve pixels a module on it, or more.
const ROWS: usize = 1080;

/// Returns what a panel shows of a screenshot: all modes fill it, so a small one is enlarged with
/// blurred edges, and a large one is reduced.
#[must_use]
pub fn on_panel(screen: &Picture) -> Picture {
    match screen.height() {
        0 | ROWS => screen.clone(),
        rows => View::far(coordinate(ROWS) / coordinate(rows)).of(screen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_fills_it() {
        for (width, height, columns) in [(320, 200, 1728), (1920, 1080, 1920), (3840, 2160, 1920)] {
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
}
