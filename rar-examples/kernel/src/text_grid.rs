//! A screen of characters: what it shows, and which cells must be drawn again.

mod header_pen;

use core::fmt;

use header_pen::HeaderPen;

/// What a character means. The screen gives each meaning a colour.
///
/// No meaning is in the colour alone: the text must say the same on a screen of one colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ink {
    /// Ordinary text.
    #[default]
    Plain,
    /// Of little interest.
    Faint,
    /// A test that holds.
    Good,
    /// A test that is violated, or an error.
    Bad,
    /// An observation, or something to look at.
    Note,
    /// A heading, on a ground of its own.
    Head,
}

/// One cell that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its row.
    pub row: usize,
    /// Its column.
    pub column: usize,
    /// The character: printable ASCII.
    pub character: u8,
    /// Its colour.
    pub ink: Ink,
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Glyph {
    character: u8,
    ink: Ink,
}

/// A screen of characters: a header that stays, and below it text that scrolls.
///
/// The grid remembers what was drawn, so that scrolling draws only the cells that differ: the
/// memory of a screen is slow.
#[derive(Debug)]
pub struct TextGrid {
    columns: usize,
    rows: usize,
    /// How many rows the header has.
    header: usize,
    row: usize,
    column: usize,
    /// The next character goes into a new row. The row is made when the character comes, so that
    /// the last row is of use.
    turned: bool,
    ink: Ink,
    wanted: [[Glyph; Self::MOST_COLUMNS]; Self::MOST_ROWS],
    drawn: [[Glyph; Self::MOST_COLUMNS]; Self::MOST_ROWS],
}

const BLANK: Glyph = Glyph {
    character: b' ',
    ink: Ink::Plain,
};
/// A full screen goes up by this share of its rows at once: a screen that is drawn again for every
/// line takes longer than the tests.
const SCROLLED_SHARE: usize = 8;
/// No cell shows this glyph: it differs from every wanted one.
const UNKNOWN: Glyph = Glyph {
    character: 0,
    ink: Ink::Plain,
};

impl TextGrid {
    /// Most columns that are used.
    pub const MOST_COLUMNS: usize = 240;
    /// Most rows that are used.
    pub const MOST_ROWS: usize = 100;

    /// A screen without cells.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            columns: 0,
            rows: 0,
            header: 0,
            row: 0,
            column: 0,
            turned: false,
            ink: Ink::Plain,
            wanted: [[BLANK; Self::MOST_COLUMNS]; Self::MOST_ROWS],
            drawn: [[UNKNOWN; Self::MOST_COLUMNS]; Self::MOST_ROWS],
        }
    }

    /// Sets the size, which is cut to what there is room for, and clears.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.columns = columns.min(Self::MOST_COLUMNS);
        self.rows = rows.min(Self::MOST_ROWS);
        self.clear();
        self.forget();
    }

    /// Returns how many columns there are.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Returns how many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Blanks every cell and gives up the header; the next character goes to the top left.
    pub fn clear(&mut self) {
        self.wanted = [[BLANK; Self::MOST_COLUMNS]; Self::MOST_ROWS];
        self.header = 0;
        (self.row, self.column, self.turned) = (0, 0, false);
    }

    /// Treats no cell as drawn: something else was on the screen.
    pub fn forget(&mut self) {
        self.drawn = [[UNKNOWN; Self::MOST_COLUMNS]; Self::MOST_ROWS];
    }

    /// Sets the colour of the characters that follow.
    pub fn set_ink(&mut self, ink: Ink) {
        self.ink = ink;
    }

    /// Makes the topmost rows the header. Text that stood there moves down as far as there is room;
    /// half of the rows at least go on scrolling.
    pub fn set_header(&mut self, rows: usize) {
        let rows = rows.min(self.rows / 2);
        let added = rows.saturating_sub(self.header);
        // What would fall off the bottom scrolls away at the top instead.
        while added > 0 && self.row + added >= self.rows && self.row > self.header {
            self.scroll();
        }
        let body = self.wanted.get_mut(self.header..self.rows);
        if let Some(body) = body.filter(|body| added <= body.len()) {
            body.rotate_right(added);
            body.iter_mut().take(added).for_each(|row| row.fill(BLANK));
        }
        self.row += added;
        self.header = rows;
    }

    /// Replaces a row of the header. Text that is too long is cut.
    pub fn write_header(&mut self, row: usize, ink: Ink, text: fmt::Arguments<'_>) {
        if row >= self.header {
            return;
        }
        let columns = self.columns;
        let cells = self
            .wanted
            .get_mut(row)
            .and_then(|row| row.get_mut(..columns));
        let Some(cells) = cells else {
            return;
        };
        let mut pen = HeaderPen::new(cells, ink);
        // A pen cannot fail.
        let _ = fmt::Write::write_fmt(&mut pen, text);
        pen.finish();
    }

    /// Adds a character. A line feed ends the row, long lines go on in the next one, and `?` stands
    /// for what is not printable ASCII.
    pub fn put(&mut self, character: char) {
        if self.columns == 0 || self.rows == 0 {
            return;
        }
        if self.turned || (self.column >= self.columns && character != '\n') {
            self.turned = false;
            self.next_row();
        }
        if character == '\n' {
            self.turned = true;
            return;
        }
        if let Some(cell) = self
            .wanted
            .get_mut(self.row)
            .and_then(|row| row.get_mut(self.column))
        {
            *cell = Glyph {
                character: shown(character),
                ink: self.ink,
            };
        }
        self.column += 1;
    }

    fn next_row(&mut self) {
        self.column = 0;
        if self.row + 1 >= self.rows {
            self.scroll();
        }
        self.row += 1;
    }

    /// Moves the text below the header up by a share of its rows.
    fn scroll(&mut self) {
        let rows = self.rows - self.header;
        let scrolled = (rows / SCROLLED_SHARE).max(1);
        if let Some(body) = self.wanted.get_mut(self.header..self.rows) {
            body.rotate_left(scrolled);
            for row in body.iter_mut().rev().take(scrolled) {
                row.fill(BLANK);
            }
        }
        self.row = self.row.saturating_sub(scrolled).max(self.header);
    }

    /// Hands every cell that differs from what was drawn last to `draw`.
    pub fn refresh(&mut self, mut draw: impl FnMut(Cell)) {
        let rows = self.wanted.iter().zip(&mut self.drawn).take(self.rows);
        for (row, (wanted, drawn)) in rows.enumerate() {
            let cells = wanted.iter().zip(drawn).take(self.columns);
            for (column, (wanted, drawn)) in cells.enumerate() {
                if wanted != drawn {
                    *drawn = *wanted;
                    draw(Cell {
                        row,
                        column,
                        character: wanted.character,
                        ink: wanted.ink,
                    });
                }
            }
        }
    }
}

/// Returns what a screen shows for a character.
fn shown(character: char) -> u8 {
    u8::try_from(character)
        .ok()
        .filter(|byte| (b' '..0x7f).contains(byte))
        .unwrap_or(b'?')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(columns: usize, rows: usize, text: &str) -> TextGrid {
        let mut grid = TextGrid::empty();
        grid.resize(columns, rows);
        text.chars().for_each(|character| grid.put(character));
        grid
    }

    fn shown(grid: &TextGrid) -> Vec<String> {
        grid.wanted[..grid.rows]
            .iter()
            .map(|row| {
                let row = row[..grid.columns].iter();
                let text: String = row.map(|glyph| char::from(glyph.character)).collect();
                text.trim_end().to_owned()
            })
            .collect()
    }

    #[test]
    fn lines_wrap_and_scroll() {
        assert_eq!(shown(&grid(4, 3, "abcdef\ngh\n")), ["abcd", "ef", "gh"]);
        assert_eq!(shown(&grid(4, 3, "1\n2\n3\n4\n5\n")), ["3", "4", "5"]);
        assert_eq!(shown(&grid(4, 3, "abcd\nef\n")), ["abcd", "ef", ""]);
    }

    #[test]
    fn a_high_screen_scrolls_by_a_share_of_it() {
        let lines: String = (0..17).map(|line| format!("{line}\n")).collect();
        let shown = shown(&grid(4, 16, &lines));
        assert_eq!(shown[0], "2");
        assert_eq!(shown[14..], ["16", ""]);
    }

    #[test]
    fn empty_lines_are_rows() {
        assert_eq!(shown(&grid(4, 4, "a\n\nb\n")), ["a", "", "b", ""]);
    }

    #[test]
    fn what_cannot_be_shown_is_a_question_mark() {
        assert_eq!(shown(&grid(8, 1, "a\tb\u{e9}\x1b")), ["a?b??"]);
    }

    #[test]
    fn only_what_differs_is_drawn() {
        let mut grid = grid(4, 2, "aa\nab\n");
        let count = |grid: &mut TextGrid| {
            let mut cells = Vec::new();
            grid.refresh(|cell| cells.push(cell));
            cells
        };
        assert_eq!(count(&mut grid).len(), 8);
        assert_eq!(count(&mut grid), []);
        "aa\n".chars().for_each(|character| grid.put(character));
        let drawn = count(&mut grid);
        let cell = |row, column, character| Cell {
            row,
            column,
            character,
            ink: Ink::Plain,
        };
        assert_eq!(drawn, [cell(0, 1, b'b'), cell(1, 1, b'a')]);
        grid.forget();
        assert_eq!(count(&mut grid).len(), 8);
    }

    #[test]
    fn a_header_stays_while_the_text_below_scrolls() {
        let mut grid = grid(6, 6, "a\nb\n");
        grid.set_header(2);
        assert_eq!(shown(&grid), ["", "", "a", "b", "", ""]);
        grid.write_header(0, Ink::Head, format_args!("{} of {}", 1, 23));
        grid.write_header(1, Ink::Head, format_args!("too long to fit"));
        grid.write_header(2, Ink::Head, format_args!("no row"));
        "c\nd\ne\nf\n"
            .chars()
            .for_each(|character| grid.put(character));
        assert_eq!(shown(&grid), ["1 of 2", "too lo", "c", "d", "e", "f"]);
        grid.write_header(0, Ink::Head, format_args!("2"));
        assert_eq!(shown(&grid)[0], "2");
        assert!(
            grid.wanted[0][..6]
                .iter()
                .all(|glyph| glyph.ink == Ink::Head)
        );
        grid.clear();
        grid.put('x');
        assert_eq!(shown(&grid)[0], "x");
    }

    #[test]
    fn a_full_screen_gets_a_header_too() {
        let mut grid = grid(4, 4, "1\n2\n3\n4\n");
        grid.set_header(2);
        assert_eq!(shown(&grid), ["", "", "3", "4"]);
        let mut small = self::grid(4, 2, "1\n");
        small.set_header(7);
        assert_eq!(shown(&small), ["", "1"]);
    }

    #[test]
    fn another_ink_is_drawn_again() {
        let mut grid = grid(1, 1, "a");
        let inks = |grid: &mut TextGrid| {
            let mut inks = Vec::new();
            grid.refresh(|cell| inks.push(cell.ink));
            inks
        };
        assert_eq!(inks(&mut grid), [Ink::Plain]);
        grid.clear();
        grid.set_ink(Ink::Bad);
        grid.put('a');
        assert_eq!(inks(&mut grid), [Ink::Bad]);
    }

    #[test]
    fn a_screen_without_cells_takes_text() {
        let mut none = grid(0, 0, "text\n");
        none.refresh(|_| panic!("a cell"));
        let huge = grid(10_000, 10_000, "x");
        assert_eq!(
            (huge.columns, huge.rows),
            (TextGrid::MOST_COLUMNS, TextGrid::MOST_ROWS)
        );
    }
}
