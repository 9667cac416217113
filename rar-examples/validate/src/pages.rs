//! What is shown at the end, page by page: the summary, then the report's codes.

use core::fmt;

use rar_kernel::{Display, console, screen};
use rar_report::EndReason;
use rar_validate::Tally;

use crate::progress;
use crate::report::Report;

/// The pages of a report.
pub(crate) struct Pages {
    tally: Tally,
    report: Report,
    /// Whether there are pixels, so that codes can be shown.
    pixels: bool,
}

impl Pages {
    /// Makes the pages of what was seen.
    pub(crate) fn new(reason: EndReason) -> Self {
        Self {
            tally: progress::tally(),
            report: Report::new(reason),
            pixels: matches!(screen::display(), Some(Display::Pixels(_))),
        }
    }

    /// Returns how many there are: at least the summary.
    pub(crate) fn count(&self) -> u32 {
        1 + if self.pixels { self.report.codes() } else { 0 }
    }

    /// Prints the report on the serial port, and the summary everywhere.
    pub(crate) fn print(&self) {
        self.report.print();
        self.lines(console::print_line);
    }

    fn lines(&self, line: fn(fmt::Arguments<'_>)) {
        let codes = self.report.codes();
        line(format_args!(""));
        line(format_args!("report {:08X}", self.report.id()));
        for part in self.tally.parts() {
            let ended = if part.ended { "" } else { ", not to the end" };
            line(format_args!(
                "{:9} {}{ended}",
                part.backend.as_str(),
                part.counts
            ));
        }
        line(format_args!("verdict: {}", self.tally.verdict()));
        if codes == 0 {
            line(format_args!("the report does not fit in its memory"));
        } else if self.pixels {
            line(format_args!("the report follows as {codes} QR codes"));
        } else {
            let screen = match screen::display() {
                Some(_) => "this screen has no pixels for QR codes",
                None => "there is no screen for QR codes",
            };
            let rest = match console::has_serial() {
                true => "the report is on the serial port only",
                false => "there is no serial port, so this summary is all that can be told",
            };
            line(format_args!("{screen}: {rest}"));
        }
    }

    /// Shows one page on the screen.
    pub(crate) fn show(&self, page: u32) {
        if page > 0 && self.report.show(page, &self.tally) {
            return;
        }
        screen::clear();
        self.lines(screen::print_line);
    }
}
