//! What is shown at the end, page by page.

use core::fmt;

use rar_kernel::{console, screen};
use rar_validate::Tally;

use crate::progress;

/// The pages of a report.
pub(crate) struct Pages {
    tally: Tally,
}

impl Pages {
    /// Makes the pages of what was seen.
    pub(crate) fn new() -> Self {
        Self {
            tally: progress::tally(),
        }
    }

    /// Returns how many there are: at least the summary.
    pub(crate) fn count(&self) -> u32 {
        1
    }

    /// Prints the summary on every output.
    pub(crate) fn print(&self) {
        self.lines(console::print_line);
    }

    fn lines(&self, line: fn(fmt::Arguments<'_>)) {
        for part in self.tally.parts() {
            let ended = if part.ended { "" } else { ", not to the end" };
            line(format_args!(
                "{:9} {}{ended}",
                part.backend.as_str(),
                part.counts
            ));
        }
        line(format_args!("verdict: {}", self.tally.verdict()));
    }

    /// Shows one page on the screen.
    pub(crate) fn show(&self, _page: u32) {
        screen::clear();
        self.lines(screen::print_line);
    }
}
