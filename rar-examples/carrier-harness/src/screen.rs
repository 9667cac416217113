//! How console and trace are shown beside each other, each line with its time and its mark.

use std::time::Duration;

/// A line of the guest's console.
const CONSOLE: char = '|';
/// A line of the trace.
const TRACE: char = '#';

/// What the marks mean, shown once.
pub const LEGEND: &str = "seconds, then | the guest's console, or # the trace of the RAR units";

/// Lines of the trace that are shown in each second; the others are counted.
const MOST: u32 = 20;

/// A console that prints no line end is cut here, so that it does not eat the host's memory.
const LONGEST_LINE: usize = 1 << 20;

/// Turns what a machine says into what is shown.
#[derive(Debug)]
pub struct Screen {
    console: Vec<u8>,
    style: Style,
    /// The second in which lines of the trace are counted, and how many came.
    second: u64,
    shown: u32,
    hidden: u64,
}

/// How the console is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Whole lines, without what only a terminal understands.
    Lines,
    /// Each byte at once, since somebody types.
    Live,
}

/// A part of the console that is complete, and what is shown of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Lines that came to their end.
    pub lines: Vec<String>,
    /// What is shown.
    pub text: String,
}

impl Screen {
    /// Returns a screen on which nothing was shown.
    #[must_use]
    pub const fn new(style: Style) -> Self {
        Self {
            console: Vec::new(),
            style,
            second: 0,
            shown: 0,
            hidden: 0,
        }
    }

    /// Takes bytes of the console.
    pub fn console(&mut self, bytes: &[u8], time: Duration) -> Shown {
        let mut shown = Shown::default();
        let mark = prefix(time, CONSOLE);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.style == Style::Live {
                if self.console.is_empty() {
                    shown.text.push_str(&mark);
                }
                shown.text.push_str(&String::from_utf8_lossy(part));
            }
            self.console.extend_from_slice(part);
            if part.ends_with(b"\n") || self.console.len() > LONGEST_LINE {
                self.end_line(&mark, &mut shown);
            }
        }
        shown
    }

    /// Takes a line of the trace.
    pub fn trace(&mut self, line: &str, time: Duration) -> String {
        let mut text = String::new();
        if time.as_secs() != self.second {
            text = self.hidden_lines(time);
            self.second = time.as_secs();
            self.shown = 0;
        }
        if self.shown >= MOST {
            self.hidden += 1;
            return text;
        }
        self.shown += 1;
        text.push_str(&format!("{}{}\n", prefix(time, TRACE), plain(line)));
        self.between(text, time)
    }

    /// Shows what has no line end yet, and how much was not shown.
    pub fn finish(&mut self, time: Duration) -> Shown {
        let mut shown = Shown::default();
        if !self.console.is_empty() {
            if self.style == Style::Live {
                shown.text.push('\n');
            }
            self.end_line(&prefix(time, CONSOLE), &mut shown);
        }
        let hidden = self.hidden_lines(time);
        shown.text.push_str(&hidden);
        shown
    }

    fn end_line(&mut self, mark: &str, shown: &mut Shown) {
        let line = plain(&String::from_utf8_lossy(&self.console));
        self.console.clear();
        if self.style == Style::Lines {
            shown.text.push_str(&format!("{mark}{line}\n"));
        }
        shown.lines.push(line);
    }

    fn hidden_lines(&mut self, time: Duration) -> String {
        match std::mem::take(&mut self.hidden) {
            0 => String::new(),
            hidden => format!(
                "{}({hidden} more lines; --trace FILE keeps all)\n",
                prefix(time, TRACE)
            ),
        }
    }

    /// Puts lines before a console line that is on the screen in part.
    fn between(&self, lines: String, time: Duration) -> String {
        if self.style == Style::Lines || self.console.is_empty() {
            return lines;
        }
        let again = String::from_utf8_lossy(&self.console);
        format!("\n{lines}{}{again}", prefix(time, CONSOLE))
    }
}

fn prefix(time: Duration, mark: char) -> String {
    format!("{:>8.3} {mark} ", time.as_secs_f64())
}

/// Returns a line without control characters and without sequences that move a cursor.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            if characters.next_if_eq(&'[').is_some() {
                // Its end is a letter or one of a few signs.
                let _sequence = characters.by_ref().find(|end| ('@'..='~').contains(end));
            } else {
                let _sequence = characters.next();
            }
        } else if character == '\t' {
            plain.push(' ');
        } else if !character.is_control() {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_millis(1250);

    #[test]
    fn lines_are_shown_when_they_are_complete() {
        let mut screen = Screen::new(Style::Lines);
        assert_eq!(screen.console(b"Lin", NOW), Shown::default());
        assert_eq!(
            screen.trace("CPU 0 launch", NOW),
            "   1.250 # CPU 0 launch\n"
        );
        let shown = screen.console(b"ux\r\nnext", NOW);
        assert_eq!(shown.text, "   1.250 | Linux\n");
        assert_eq!(shown.lines, ["Linux"]);
        assert_eq!(screen.finish(NOW).lines, ["next"]);
        assert_eq!(screen.finish(NOW), Shown::default());
    }

    #[test]
    fn a_prompt_is_shown_at_once_and_again_after_a_line_of_the_trace() {
        let mut screen = Screen::new(Style::Live);
        assert_eq!(screen.console(b"/ # ", NOW).text, "   1.250 | / # ");
        let text = screen.trace("CPU 0 launch", NOW);
        assert_eq!(text, "\n   1.250 # CPU 0 launch\n   1.250 | / # ");
        let shown = screen.console(b"ls\r\n", NOW);
        assert_eq!(shown.text, "ls\r\n");
        assert_eq!(shown.lines, ["/ # ls"]);
    }

    #[test]
    fn a_flood_of_the_trace_is_counted() {
        let mut screen = Screen::new(Style::Lines);
        let shown = (0..MOST + 7).filter(|_| !screen.trace("CPU 0 signal", NOW).is_empty());
        assert_eq!(shown.count(), MOST as usize);
        let text = screen.trace("CPU 0 signal", NOW + Duration::from_secs(1));
        assert!(
            text.contains("(7 more lines; --trace FILE keeps all)\n"),
            "{text}"
        );
        assert!(text.ends_with("CPU 0 signal\n"), "{text}");
    }

    #[test]
    fn what_moves_a_cursor_is_left_out() {
        assert_eq!(
            plain("\u{1b}[1;32mok\u{1b}[0m\r\u{1b}c a\tb\u{7}"),
            "ok a b"
        );
    }

    proptest! {
        #[test]
        fn no_console_line_is_lost(
            lines in proptest::collection::vec("[a-z ]{0,20}", 1..20), cut in 1_usize..9,
        ) {
            for style in [Style::Lines, Style::Live] {
                let mut screen = Screen::new(style);
                let mut read = Vec::new();
                for chunk in lines.join("\n").as_bytes().chunks(cut) {
                    read.extend(screen.console(chunk, NOW).lines);
                }
                read.extend(screen.finish(NOW).lines);
                // A last line without text and without an end is not a line.
                let mut lines = lines.clone();
                if lines.last().is_some_and(String::is_empty) {
                    lines.pop();
                }
                prop_assert_eq!(read, lines);
            }
        }
    }
}
