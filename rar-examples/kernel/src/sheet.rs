//! What can be read from across a room: one title, lines and bars, as large as the screen allows.

use core::fmt;

use crate::Ink;

/// Large rows.
pub trait Sheet {
    /// Hands over the rows from top to bottom. Each call hands over the same rows.
    fn rows(&self, to: &mut dyn FnMut(SheetRow<'_>));
}

/// One row of a [`Sheet`].
#[derive(Clone, Copy, Debug)]
pub enum SheetRow<'t> {
    /// The title: larger than all others.
    Title(Ink, fmt::Arguments<'t>),
    /// A line of text.
    Line(Ink, fmt::Arguments<'t>),
    /// A count as a bar.
    Bar(Bar<'t>),
    /// An empty row.
    Gap,
}

/// A count as a bar beside other bars.
#[derive(Clone, Copy, Debug)]
pub struct Bar<'t> {
    /// Its colour.
    pub ink: Ink,
    /// What is counted.
    pub label: &'t str,
    /// How many there are.
    pub count: u32,
    /// The count of the longest bar.
    pub most: u32,
}

/// Characters of a bar's label.
pub const LABEL_COLUMNS: u32 = 12;
/// Characters of a bar's count.
pub const COUNT_COLUMNS: u32 = 6;

impl Bar<'_> {
    /// Returns how much of `room` the bar fills. A count that is not zero fills one at least.
    #[must_use]
    pub fn length(&self, room: u32) -> u32 {
        if self.count == 0 {
            return 0;
        }
        let product = u64::from(room) * u64::from(self.count);
        let length = product / u64::from(self.most.max(self.count));
        u32::try_from(length).unwrap_or(room).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_in_proportion_and_never_lost() {
        let bar = |count, most| Bar {
            ink: Ink::Good,
            label: "",
            count,
            most,
        };
        assert_eq!(bar(0, 100).length(50), 0);
        assert_eq!(bar(1, 1000).length(50), 1);
        assert_eq!(bar(50, 100).length(50), 25);
        assert_eq!(bar(100, 100).length(50), 50);
        assert_eq!(bar(7, 0).length(50), 50);
    }
}
