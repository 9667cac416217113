//! The position of the camera.

use crate::Picture;
use crate::numbers::{coordinate, pixels};
use crate::projection::{Point, Projection, seen};

/// The position of the camera. The whole screen is in the picture.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The camera is turned by this angle, so that the screen appears turned clockwise.
    pub degrees: f64,
    /// The camera is to the left: the right edge appears shorter by this share, and the screen
    /// narrower by half as much.
    pub shorter: f64,
    /// How many pixels of the camera one pixel of the screen takes, on a side.
    pub share: f64,
}

impl View {
    /// From the front, pixel by pixel.
    pub const FRONT: Self = Self {
        degrees: 0.0,
        shorter: 0.0,
        share: 1.0,
    };

    /// From the front, with a camera that is turned.
    #[must_use]
    pub const fn turned(degrees: f64) -> Self {
        Self {
            degrees,
            ..Self::FRONT
        }
    }

    /// From the front, with fewer pixels or with more.
    #[must_use]
    pub const fn far(share: f64) -> Self {
        Self {
            share,
            ..Self::FRONT
        }
    }

    /// Returns the photo.
    #[must_use]
    pub fn of(&self, screen: &Picture) -> Picture {
        let (width, height) = (coordinate(screen.width()), coordinate(screen.height()));
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        let turned = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
            .map(|(x, y)| (x * cos - y * sin, x * sin + y * cos));
        let least = |of: fn(&Point) -> f64| turned.iter().map(of).fold(f64::INFINITY, f64::min);
        let (left, top) = (least(|corner| corner.0), least(|corner| corner.1));
        let turned = turned.map(|(x, y)| (x - left, y - top));
        let (full_width, full_height) = extent(turned);
        let side = Projection::onto(self.frame(full_width, full_height));
        let corners = turned.map(|(x, y)| side.apply((x / full_width, y / full_height)));
        let (width, height) = extent(corners);
        // A rounding error is not a pixel.
        seen(screen, corners, pixels(width - 1e-6), pixels(height - 1e-6))
    }

    /// Returns the positions of the corners of a picture of this size.
    fn frame(&self, width: f64, height: f64) -> [Point; 4] {
        let (right, off) = (
            width * (1.0 - self.shorter / 2.0),
            height * self.shorter / 2.0,
        );
        [
            (0.0, 0.0),
            (right, off),
            (right, height - off),
            (0.0, height),
        ]
        .map(|(x, y)| (x * self.share, y * self.share))
    }
}

/// Returns how far corners reach from the origin.
fn extent(corners: [Point; 4]) -> (f64, f64) {
    let most = |of: fn(&Point) -> f64| corners.iter().map(of).fold(0.0, f64::max);
    (most(|corner| corner.0), most(|corner| corner.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(view: View) -> (usize, usize) {
        let seen = view.of(&Picture::new(200, 100, |_, _| 255));
        (seen.width(), seen.height())
    }

    #[test]
    fn all_of_the_screen_is_seen_and_little_else() {
        assert_eq!(size(View::FRONT), (200, 100));
        assert_eq!(size(View::turned(90.0)), (100, 200));
        assert_eq!(size(View::turned(180.0)), (200, 100));
        assert_eq!(size(View::far(0.5)), (100, 50));
        assert_eq!(
            size(View {
                shorter: 0.2,
                ..View::FRONT
            }),
            (180, 100)
        );
        assert_eq!(size(View::turned(30.0)), (224, 187));
    }

    #[test]
    fn the_far_edge_is_shorter() {
        let seen = View {
            shorter: 0.2,
            ..View::FRONT
        }
        .of(&Picture::new(200, 100, |_, _| 255));
        let lit = |x| (0..100).filter(|y| seen.shade(x, *y) > 200).count();
        assert!(
            lit(1) >= 97 && (78..=82).contains(&lit(178)),
            "{} {}",
            lit(1),
            lit(178)
        );
    }
}
