//! What stands on a screen of characters, and what of it has to be drawn anew.

/// One cell that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its row.
    pub row: usize,
    /// Its column.
    pub column: usize,
    /// The character: printable ASCII.
    pub character: u8,
}

/// A screen of characters that scrolls.
///
/// It remembers what was drawn, so that scrolling draws only what differs: the memory of a screen
/// is slow.
#[derive(Debug)]
pub struct TextGrid {
    columns: usize,
    rows: usize,
    row: usize,
    column: usize,
    /// The next character goes into a new row. The row is made when it comes, so that the last row
    /// is of use.
    turned: bool,
    wanted: [[u8; Self::MOST_COLUMNS]; Self::MOST_ROWS],
    drawn: [[u8; Self::MOST_COLUMNS]; Self::MOST_ROWS],
}

const BLANK: u8 = b' ';
/// A full screen goes up by this share of it at once: drawing it anew for every line would take
/// longer than the tests.
const SCROLLED_SHARE: usize = 8;
/// What no cell shows: it differs from all that is wanted.
const UNKNOWN: u8 = 0;

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
            row: 0,
            column: 0,
            turned: false,
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

    /// Blanks every cell; the next character goes to the top left.
    pub fn clear(&mut self) {
        self.wanted = [[BLANK; Self::MOST_COLUMNS]; Self::MOST_ROWS];
        (self.row, self.column, self.turned) = (0, 0, false);
    }

    /// Takes nothing for drawn any more: something else was on the screen.
    pub fn forget(&mut self) {
        self.drawn = [[UNKNOWN; Self::MOST_COLUMNS]; Self::MOST_ROWS];
    }

    /// Adds a character. A line feed ends the row, long lines go on in the next one, and what is
    /// not printable ASCII shows as `?`.
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
        let shown = u8::try_from(character)
            .ok()
            .filter(|byte| (BLANK..0x7F).contains(byte));
        if let Some(cell) = self
            .wanted
            .get_mut(self.row)
            .and_then(|row| row.get_mut(self.column))
        {
            *cell = shown.unwrap_or(b'?');
        }
        self.column += 1;
    }

    fn next_row(&mut self) {
        self.column = 0;
        if self.row + 1 < self.rows {
            self.row += 1;
            return;
        }
        let scrolled = (self.rows / SCROLLED_SHARE).max(1);
        if let Some(rows) = self.wanted.get_mut(..self.rows) {
            rows.rotate_left(scrolled);
            for row in rows.iter_mut().rev().take(scrolled) {
                row.fill(BLANK);
            }
        }
        self.row = self.rows - scrolled;
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
                        character: *wanted,
                    });
                }
            }
        }
    }
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
                String::from_utf8(row[..grid.columns].to_vec())
                    .unwrap()
                    .trim_end()
                    .to_owned()
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
        };
        assert_eq!(drawn, [cell(0, 1, b'b'), cell(1, 1, b'a')]);
        grid.forget();
        assert_eq!(count(&mut grid).len(), 8);
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
