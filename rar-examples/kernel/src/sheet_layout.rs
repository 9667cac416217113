//! How large the rows of a sheet are on a screen, and on which page each of them is.

use core::fmt;

use crate::{COUNT_COLUMNS, LABEL_COLUMNS, Sheet, SheetRow, lines_of};

/// The fewest characters for a bar beside its label and its count.
const LEAST_BAR_COLUMNS: u32 = 12;
/// Titles have this share of the height at most.
const TITLE_SHARE: u32 = 4;
/// Titles have this share of the height at most where a sheet takes several pages.
const SMALL_TITLE_SHARE: u32 = 6;
/// A title is at least this many times as large as the other rows.
const LEAST_TITLE: u32 = 3;
/// From here on a line is large enough.
const MOST_ZOOM: u32 = 4;
const MOST_TITLE_ZOOM: u32 = 24;

/// How large the rows of a sheet are: pixels of the screen for one of the font.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SheetLayout {
    /// For the title.
    pub title: u32,
    /// For all other rows.
    pub text: u32,
    /// How many pages the sheet takes.
    pub pages: u32,
    screen: (u32, u32),
    character: (u32, u32),
}

/// A row of a page.
#[derive(Clone, Copy, Debug)]
pub struct PlacedRow<'t> {
    /// Its upper edge in pixels.
    pub top: u32,
    /// Pixels of the screen for one of the font.
    pub zoom: u32,
    /// Characters of a line: a longer text is [broken](crate::wrap).
    pub columns: u32,
    /// What it shows.
    pub row: SheetRow<'t>,
}

impl SheetLayout {
    /// Returns the largest sizes that fit on `screen` with characters of `character` pixels, one
    /// character free on each side. What does not fit at the smallest size goes to further pages.
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
        let text = (1..=MOST_ZOOM).rev().find(|zoom| {
            let title = height(LEAST_TITLE * zoom, titles);
            fits(*zoom, columns) && title + height(*zoom, rows + 2) <= screen.1
        });
        let most = match text {
            Some(text) => {
                let free = screen.1.saturating_sub(height(text, rows + 2));
                free.min(screen.1 / TITLE_SHARE)
            }
            None => screen.1 / SMALL_TITLE_SHARE,
        };
        let text = text.unwrap_or(1);
        let title = (1..=MOST_TITLE_ZOOM)
            .rev()
            .find(|zoom| fits(*zoom, title_columns) && height(*zoom, titles) <= most)
            .unwrap_or(1);
        Self::of(sheet, title.max(text), text, (screen, character))
    }

    /// Returns the layout on a screen of characters.
    #[must_use]
    pub fn on_cells(sheet: &dyn Sheet, columns: u32, rows: u32) -> Self {
        Self::of(sheet, 1, 1, ((columns, rows), (1, 1)))
    }

    fn of(
        sheet: &dyn Sheet,
        title: u32,
        text: u32,
        (screen, character): ((u32, u32), (u32, u32)),
    ) -> Self {
        let mut layout = Self {
            title,
            text,
            pages: 1,
            screen,
            character,
        };
        layout.pages = layout.page(sheet, u32::MAX, &mut |_| {});
        layout
    }

    /// Hands over the rows of a page, the first is 0; returns how many pages there are.
    pub fn page(&self, sheet: &dyn Sheet, number: u32, to: &mut dyn FnMut(PlacedRow<'_>)) -> u32 {
        let first = self.character.1 * self.text;
        let end = self.screen.1.saturating_sub(first);
        let mut page = 0;
        let mut top = first;
        sheet.rows(&mut |row| {
            let zoom = match row {
                SheetRow::Title(..) => self.title,
                _ => self.text,
            };
            let columns = (self.screen.0 / (self.character.0 * zoom)).saturating_sub(2);
            let lines = match row {
                SheetRow::Title(_, text) | SheetRow::Line(_, text) => lines_of(text, columns),
                SheetRow::Bar(_) | SheetRow::Gap => 1,
            };
            let height = lines * self.character.1 * zoom;
            if top > first && top + height > end {
                page += 1;
                top = first;
            }
            if top == first && matches!(row, SheetRow::Gap) {
                return;
            }
            if page == number {
                to(PlacedRow {
                    top,
                    zoom,
                    columns,
                    row,
                });
            }
            top += height;
        });
        page + 1
    }
}

/// Returns how many characters a text has.
fn columns_of(text: fmt::Arguments<'_>) -> u32 {
    struct Counter(u32);
    impl fmt::Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // A counter cannot fail.
    let _ = fmt::Write::write_fmt(&mut counter, text);
    counter.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bar, Ink};

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
        let sizes = |layout: SheetLayout| (layout.title, layout.text, layout.pages);
        assert_eq!(sizes(layout("HOLDS", 4, (1280, 800))), (12, 4, 1));
        assert_eq!(sizes(layout("HOLDS", 4, (640, 480))), (7, 2, 1));
        assert_eq!(sizes(layout("HOLDS", 40, (1280, 800))), (6, 1, 1));
    }

    /// Returns the texts of each page, checked to lie on the screen.
    fn pages(lines: u32, layout: SheetLayout) -> Vec<Vec<String>> {
        let sheet = Example {
            title: "A TITLE",
            lines,
        };
        let page = |number| {
            let mut texts = Vec::new();
            let mut free = 0;
            layout.page(&sheet, number, &mut |placed| {
                assert!(placed.top >= free, "{placed:?}");
                free = placed.top + layout.character.1 * placed.zoom;
                assert!(free <= layout.screen.1, "{placed:?}");
                texts.push(match placed.row {
                    SheetRow::Title(_, text) | SheetRow::Line(_, text) => text.to_string(),
                    SheetRow::Bar(bar) => bar.label.to_owned(),
                    SheetRow::Gap => String::new(),
                });
            });
            texts
        };
        assert!(page(layout.pages).is_empty());
        (0..layout.pages).map(page).collect()
    }

    #[test]
    fn what_does_not_fit_goes_to_further_pages() {
        let small = layout("A TITLE", 30, (320, 200));
        assert_eq!(small.text, 1);
        assert!(small.title > small.text && small.pages > 2, "{small:?}");
        let cells = Example {
            title: "A TITLE",
            lines: 30,
        };
        for layout in [small, SheetLayout::on_cells(&cells, 80, 25)] {
            let pages = pages(30, layout);
            assert!(pages.iter().all(|page| !page.is_empty()));
            let all: Vec<_> = pages.concat();
            let texts = all.iter().filter(|text| !text.is_empty());
            let lines = (0..30).map(|line| format!("line {line}"));
            let wanted = ["A TITLE".to_owned()].into_iter().chain(lines);
            assert!(texts.eq(&wanted.chain(["hold".to_owned()]).collect::<Vec<_>>()));
        }
    }

    #[test]
    fn a_long_line_takes_the_height_of_its_parts() {
        struct Long;
        impl Sheet for Long {
            fn rows(&self, to: &mut dyn FnMut(SheetRow<'_>)) {
                let text = "a line that is much too long for the screen that it is on";
                to(SheetRow::Line(Ink::Plain, format_args!("{text}")));
                to(SheetRow::Line(Ink::Note, format_args!("next")));
            }
        }
        let layout = SheetLayout::new(&Long, (320, 200), CHARACTER);
        let mut tops = Vec::new();
        layout.page(&Long, 0, &mut |placed| {
            assert_eq!(placed.columns, 38);
            tops.push(placed.top);
        });
        assert_eq!(tops, [16, 48]);
    }

    #[test]
    fn a_screen_that_is_too_small_gets_the_smallest_rows() {
        let tiny = layout("A TITLE THAT IS LONG", 40, (100, 100));
        assert_eq!((tiny.title, tiny.text), (1, 1));
        assert!(tiny.pages > 1);
        let none = layout("A TITLE", 3, (0, 0));
        assert!(none.pages > 1);
    }
}
