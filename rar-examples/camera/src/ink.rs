//! The dark pixels of a picture: those darker than their surroundings.

use crate::Picture;

/// Surroundings reach this share of the picture's width to each side: much more than a module, much
/// less than a shadow.
const REACH_SHARE: usize = 12;
/// A pixel is dark below this share of the mean around it, in sixteenths: paper is not, though half
/// of it lies below its mean.
const DARK: u64 = 15;

/// Which pixels are dark.
pub(crate) struct Ink<'p> {
    picture: &'p Picture,
    /// The sum of all shades above and to the left of each corner of a pixel.
    sums: Vec<u64>,
    reach: usize,
}

impl<'p> Ink<'p> {
    pub(crate) fn of(picture: &'p Picture) -> Self {
        let corners = picture.width() + 1;
        let mut sums = vec![0; corners];
        for (y, row) in picture.pixels().chunks(picture.width().max(1)).enumerate() {
            let mut sum = 0;
            sums.push(0);
            for (x, shade) in row.iter().enumerate() {
                sum += u64::from(*shade);
                let above = sums.get(y * corners + x + 1).copied().unwrap_or_default();
                sums.push(above + sum);
            }
        }
        Self {
            picture,
            sums,
            reach: picture.width() / REACH_SHARE,
        }
    }

    pub(crate) fn is_dark(&self, x: usize, y: usize) -> bool {
        let (width, height) = (self.picture.width(), self.picture.height());
        let ends =
            |at: usize, size: usize| (at.saturating_sub(self.reach), (at + self.reach).min(size));
        let ((left, right), (top, bottom)) = (ends(x, width), ends(y, height));
        let sum = |x, y| {
            self.sums
                .get(y * (width + 1) + x)
                .copied()
                .unwrap_or_default()
        };
        let around = (sum(right, bottom) + sum(left, top))
            .saturating_sub(sum(left, bottom) + sum(right, top));
        let count = u64::try_from((right - left) * (bottom - top)).unwrap_or(u64::MAX);
        let shade = self
            .picture
            .pixels()
            .get(y * width + x)
            .copied()
            .unwrap_or_default();
        u64::from(shade).saturating_mul(count).saturating_mul(16) < around * DARK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_dark_in_light_and_in_shadow_and_paper_is_not() {
        let picture = Picture::new(240, 60, |x, _| {
            let paper = 250 - x / 2;
            u8::try_from(if x % 10 == 5 { paper / 2 } else { paper }).unwrap()
        });
        let ink = Ink::of(&picture);
        for (x, y) in (0..240).flat_map(|x| [0, 30, 59].map(|y| (x, y))) {
            assert_eq!(ink.is_dark(x, y), x % 10 == 5, "{x} {y}");
        }
    }

    #[test]
    fn blank_paper_has_no_ink() {
        let blank = Picture::new(20, 20, |_, _| 250);
        let ink = Ink::of(&blank);
        assert!(!ink.is_dark(0, 0) && !ink.is_dark(19, 10));
    }
}
