//! A page that can be read from across a room: one title, lines and bars, as large as the screen
//! allows.

use core::fmt::{self, Write};

use crate::Ink;

/// A page of large rows.
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
/// The fewest characters for the bar itself.
const LEAST_BAR_COLUMNS: u32 = 12;
/// Titles have this share of the height at most.
const TITLE_SHARE: u32 = 4;
/// A title is at least this many times as large as the other rows.
const LEAST_TITLE: u32 = 3;
/// From here on a line is large enough.
const MOST_ZOOM: u32 = 4;
const MOST_TITLE_ZOOM: u32 = 24;

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

/// How large the rows of a sheet are: pixels of the screen for one of the font.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SheetLayout {
    /// For the title.
    pub title: u32,
    /// For all other rows.
    pub text: u32,
}

impl SheetLayout {
    /// Returns the largest sizes that fit on `screen` with characters of `character` pixels, one
    /// character free on each side. Rows that do not fit at the smallest size are cut.
    #[must_use]
    pub fn new(sheet: &dyn Sheet, screen: (u32, u32), character: (u32, u32)) -> Self {
        let mut title_columns = 0;
        let mut columns = 0;
        let mut rows = 0;
        let mut titles = 0;
        sheet.rows(&mut |row| match row {
            SheetRow::Title(_, text) => {
                titles += 1;
                title_columns = title_columns.max(columns_of(text));
            }
            SheetRow::Line(_, text) => {
                rows += 1;
                columns = columns.max(columns_of(text));
            }
            SheetRow::Bar(_) => {
                rows += 1;
                columns = columns.max(LABEL_COLUMNS + COUNT_COLUMNS + LEAST_BAR_COLUMNS);
            }
            SheetRow::Gap => rows += 1,
        });
        let fits = |zoom: u32, columns: u32| (columns + 2) * character.0 * zoom <= screen.0;
        // A row's height is free above the first and below the last.
        let height = |zoom: u32, rows: u32| rows * character.1 * zoom;
        let text = (1..=MOST_ZOOM)
            .rev()
            .find(|zoom| {
                let title = height(LEAST_TITLE * zoom, titles);
                fits(*zoom, columns) && title + height(*zoom, rows + 2) <= screen.1
            })
            .unwrap_or(1);
        let free = screen.1.saturating_sub(height(text, rows + 2));
        let most = free.min(screen.1 / TITLE_SHARE);
        let title = (1..=MOST_TITLE_ZOOM)
            .rev()
            .find(|zoom| fits(*zoom, title_columns) && height(*zoom, titles) <= most)
            .unwrap_or(1);
        Self {
            title: title.max(text),
            text,
        }
    }
}

/// Returns how many characters a text has.
fn columns_of(text: fmt::Arguments<'_>) -> u32 {
    struct Counter(u32);
    impl Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // A counter cannot fail.
    let _ = counter.write_fmt(text);
    counter.0
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Example {
        title: &'static str,
        lines: u32,
    }

    impl Sheet for Example {
        fn rows(&self, to: &mut dyn FnMut(SheetRow<'_>)) {
            to(SheetRow::Title(Ink::Good, format_args!("{}", self.title)));
            to(SheetRow::Gap);
            for line in 0..self.lines {
                to(SheetRow::Line(Ink::Plain, format_args!("line {line}")));
            }
            to(SheetRow::Bar(Bar {
                ink: Ink::Good,
                label: "hold",
                count: 1,
                most: 2,
            }));
        }
    }

    const CHARACTER: (u32, u32) = (8, 16);

    fn layout(title: &'static str, lines: u32, screen: (u32, u32)) -> SheetLayout {
        SheetLayout::new(&Example { title, lines }, screen, CHARACTER)
    }

    #[test]
    fn rows_are_as_large_as_the_screen_allows() {
        let large = layout("HOLDS", 4, (1280, 800));
        assert_eq!(large, SheetLayout { title: 12, text: 4 });
        let small = layout("HOLDS", 4, (640, 480));
        assert_eq!(small, SheetLayout { title: 7, text: 2 });
        assert_eq!(layout("HOLDS", 40, (1280, 800)).text, 1);
    }

    #[test]
    fn a_screen_that_is_too_small_gets_the_smallest_rows() {
        let tiny = layout("A TITLE THAT IS LONG", 40, (100, 100));
        assert_eq!(tiny, SheetLayout { title: 1, text: 1 });
    }

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
