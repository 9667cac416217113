//! A plane in perspective: pictures that are turned, seen from the side, or seen from far away.

use crate::Picture;
use crate::numbers::{coordinate, fraction, shade};

/// A point of a picture, in pixels; whole numbers are the corners of pixels.
pub(crate) type Point = (f64, f64);

/// The maximum of samples on a side of a pixel: more make no difference.
const MOST_SAMPLES: u32 = 4;

/// A projective map, as a matrix of three rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Projection([[f64; 3]; 3]);

impl Projection {
    /// Returns the map of the unit square onto a quadrilateral, given from the origin's corner
    /// along the square's sides.
    pub(crate) fn onto([(x0, y0), (x1, y1), (x2, y2), (x3, y3)]: [Point; 4]) -> Self {
        let (dx1, dx2, dx3) = (x1 - x2, x3 - x2, x0 - x1 + x2 - x3);
        let (dy1, dy2, dy3) = (y1 - y2, y3 - y2, y0 - y1 + y2 - y3);
        let area = dx1 * dy2 - dx2 * dy1;
        let g = (dx3 * dy2 - dx2 * dy3) / area;
        let h = (dx1 * dy3 - dx3 * dy1) / area;
        Self([
            [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
            [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
            [g, h, 1.0],
        ])
    }

    /// Returns the map back. A factor of all entries does not matter, so the adjugate does.
    fn back(self) -> Self {
        let Self([[a, b, c], [d, e, f], [g, h, i]]) = self;
        Self([
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ])
    }

    pub(crate) fn apply(self, (x, y): Point) -> Point {
        let [first, second, third] = self.0.map(|[a, b, c]| a * x + b * y + c);
        (first / third, second / third)
    }
}

/// Returns the picture of a camera of this size, given the positions of the corners: upper left,
/// upper right, lower right, lower left.
pub(crate) fn seen(picture: &Picture, corners: [Point; 4], width: usize, height: usize) -> Picture {
    let back = Projection::onto(corners).back();
    let (full_width, full_height) = (coordinate(picture.width()), coordinate(picture.height()));
    let samples = samples(full_width, corners);
    let step = 1.0 / f64::from(samples);
    Picture::new(width, height, |x, y| {
        let mut sum = 0.0;
        for (down, right) in
            (0..samples).flat_map(|down| (0..samples).map(move |right| (down, right)))
        {
            let at = |pixel, sample| coordinate(pixel) + (f64::from(sample) + 0.5) * step;
            let (u, v) = back.apply((at(x, right), at(y, down)));
            sum += between(picture, u * full_width - 0.5, v * full_height - 0.5);
        }
        shade(sum * step * step)
    })
}

/// Returns how many samples on a side a pixel needs so that none of the picture is passed over.
fn samples(width: f64, [(left, top), (right, bottom), ..]: [Point; 4]) -> u32 {
    let edge = (right - left).hypot(bottom - top);
    (1..MOST_SAMPLES)
        .find(|samples| f64::from(*samples) * edge >= width)
        .unwrap_or(MOST_SAMPLES)
}

/// Returns the shade between four pixels.
fn between(picture: &Picture, x: f64, y: f64) -> f64 {
    let ((left, right_share), (top, bottom_share)) = (fraction(x), fraction(y));
    let row = |y| {
        let [left, right] = [left, left + 1].map(|x| f64::from(picture.shade(x, y)));
        left + (right - left) * right_share
    };
    let (above, below) = (row(top), row(top + 1));
    above + (below - above) * bottom_share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_go_where_they_should_and_back() {
        let corners = [(3.0, 4.0), (90.0, 10.0), (80.0, 70.0), (10.0, 60.0)];
        let map = Projection::onto(corners);
        let square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
        let near = |(a, b): Point, (c, d): Point| (a - c).abs() < 1e-9 && (b - d).abs() < 1e-9;
        for (from, to) in square.into_iter().zip(corners) {
            assert!(near(map.apply(from), to), "{from:?}");
            assert!(near(map.back().apply(to), from), "{to:?}");
        }
    }

    #[test]
    fn from_the_front_nothing_changes() {
        let picture = Picture::new(5, 4, |x, y| u8::try_from(x * 40 + y).unwrap());
        let corners = [(0.0, 0.0), (5.0, 0.0), (5.0, 4.0), (0.0, 4.0)];
        assert_eq!(seen(&picture, corners, 5, 4), picture);
    }

    #[test]
    fn a_quarter_turn_moves_pixels() {
        let picture = Picture::new(3, 2, |x, y| u8::try_from(x * 10 + y).unwrap());
        let turned = seen(
            &picture,
            [(2.0, 0.0), (2.0, 3.0), (0.0, 3.0), (0.0, 0.0)],
            2,
            3,
        );
        assert_eq!(turned.pixels(), [1, 0, 11, 10, 21, 20]);
    }

    #[test]
    fn far_away_pixels_melt_together() {
        let stripes = Picture::new(8, 8, |x, _| if x % 2 == 0 { 0 } else { 200 });
        let far = seen(
            &stripes,
            [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)],
            2,
            2,
        );
        assert!(
            far.pixels().iter().all(|shade| (90..=110).contains(shade)),
            "{far:?}"
        );
    }
}
