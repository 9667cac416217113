//! Text in lines of a certain width.

use core::fmt::{self, Write};

/// No longer word stays whole.
const LONGEST_WORD: usize = 40;

/// Breaks text into lines: at blanks where there are any, else within a word.
#[derive(Debug)]
pub struct Wrap<P> {
    columns: usize,
    column: usize,
    /// Blanks before the word, which are written only if it goes into the same line.
    blanks: usize,
    word: [char; LONGEST_WORD],
    length: usize,
    put: P,
}

impl<P: FnMut(char)> Wrap<P> {
    /// Begins a line of that many columns; `put` gets each character, a line feed at each break.
    pub fn new(columns: u32, put: P) -> Self {
        Self {
            columns: usize::try_from(columns).unwrap_or(usize::MAX).max(1),
            column: 0,
            blanks: 0,
            word: [' '; LONGEST_WORD],
            length: 0,
            put,
        }
    }

    /// Hands over the last word.
    pub fn finish(mut self) {
        self.end_word();
    }

    fn push(&mut self, character: char) {
        match character {
            '\n' => {
                self.end_word();
                self.blanks = 0;
                self.end_line();
            }
            ' ' => {
                self.end_word();
                self.blanks += 1;
            }
            other => {
                if let Some(place) = self.word.get_mut(self.length) {
                    *place = other;
                    self.length += 1;
                }
                if self.length >= LONGEST_WORD.min(self.columns) {
                    self.end_word();
                }
            }
        }
    }

    fn end_word(&mut self) {
        if self.length == 0 {
            return;
        }
        let blanks = core::mem::take(&mut self.blanks);
        if self.column + blanks + self.length <= self.columns {
            (0..blanks).for_each(|_| (self.put)(' '));
            self.column += blanks;
        } else if self.column > 0 {
            self.end_line();
        }
        let word = self.word.iter().take(self.length);
        word.for_each(|character| (self.put)(*character));
        self.column += core::mem::take(&mut self.length);
    }

    fn end_line(&mut self) {
        (self.put)('\n');
        self.column = 0;
    }
}

impl<P: FnMut(char)> Write for Wrap<P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().for_each(|character| self.push(character));
        Ok(())
    }
}

/// Hands over each character of a text that is broken into lines of at most `columns`.
pub fn wrap(text: fmt::Arguments<'_>, columns: u32, put: impl FnMut(char)) {
    let mut wrap = Wrap::new(columns, put);
    // Breaking lines cannot fail.
    let _ = wrap.write_fmt(text);
    wrap.finish();
}

/// Returns how many lines of at most `columns` a text takes.
#[must_use]
pub fn lines_of(text: fmt::Arguments<'_>, columns: u32) -> u32 {
    let mut lines = 1;
    wrap(text, columns, |character| {
        lines += u32::from(character == '\n');
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, columns: u32) -> String {
        let mut lines = String::new();
        wrap(format_args!("{text}"), columns, |character| {
            lines.push(character);
        });
        let count = u32::try_from(lines.matches('\n').count()).unwrap();
        assert_eq!(lines_of(format_args!("{text}"), columns), count + 1);
        lines
    }

    #[test]
    fn lines_break_at_blanks() {
        assert_eq!(wrapped("verdict: INCOMPLETE", 16), "verdict:\nINCOMPLETE");
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("one two three", 80), "one two three");
        assert_eq!(wrapped("a\n\n  b", 80), "a\n\n  b");
        assert_eq!(wrapped("", 80), "");
    }

    #[test]
    fn a_word_that_is_too_long_is_broken() {
        assert_eq!(wrapped("abcdefgh ij", 3), "abc\ndef\ngh\nij");
        assert_eq!(wrapped("x abcdefgh", 4), "x\nabcd\nefgh");
        assert_eq!(wrapped(" abc", 3), "abc");
        assert_eq!(wrapped("ab", 0), "a\nb");
        let long = "y".repeat(100);
        let lines: Vec<_> = wrapped(&long, 80).lines().map(str::len).collect();
        assert_eq!(lines, [80, 20]);
    }

    #[test]
    fn no_line_is_longer_and_no_word_is_lost() {
        let text = "The machine does not do what the tests require: 1 of 2, report C0FFEE42.";
        for columns in 1..90 {
            let lines = wrapped(text, columns);
            assert!(lines.lines().all(|line| line.len() <= columns as usize));
            let letters = |text: &str| -> String {
                text.chars()
                    .filter(|letter| !letter.is_ascii_whitespace())
                    .collect()
            };
            assert_eq!(letters(&lines), letters(text));
        }
    }
}
