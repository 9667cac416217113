//! What is shown at the end, page by page: the summary, then the report's codes.

use core::fmt;

use rar_kernel::{Display, console, screen};
use rar_report::EndReason;
use rar_validate::{Full, Summary, Tally};

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

    /// Prints the report and the summary on the serial port.
    pub(crate) fn print(&self) {
        self.report.print();
        self.lines(console::print_serial_line);
    }

    fn lines(&self, line: fn(fmt::Arguments<'_>)) {
        line(format_args!(""));
        line(format_args!("report {:08X}", self.report.id()));
        for part in self.tally.parts() {
            let ended = if part.ended { "" } else { ", not to the end" };
            line(format_args!(
                "{:9} {}{ended}",
                part.backend.as_str(),
                Full(&part.counts)
            ));
        }
        let (verdict, coverage) = (self.tally.verdict(), self.tally.coverage());
        match coverage.is_whole() {
            true => line(format_args!("verdict: {verdict}")),
            false => line(format_args!("verdict: {verdict} on {coverage}")),
        }
        self.with_next(line);
    }

    /// Hands over what follows the summary, and where the report is.
    fn with_next(&self, say: impl FnOnce(fmt::Arguments<'_>)) {
        let codes = self.report.codes();
        if codes == 0 {
            return say(format_args!("the report does not fit in its memory"));
        }
        if self.pixels {
            return say(format_args!("the report follows as {codes} QR codes"));
        }
        let screen = match screen::display() {
            Some(_) => "this screen has no pixels for QR codes",
            None => "there is no screen for QR codes",
        };
        let rest = match console::has_serial() {
            true => "the report is on the serial port only",
            false => "no serial port takes it, so this summary is all that remains",
        };
        say(format_args!("{screen}: {rest}"));
    }

    /// Hands over what a person who reads the summary does next.
    fn with_next_step(&self, say: impl FnOnce(fmt::Arguments<'_>)) {
        match (self.pixels, self.report.codes()) {
            (true, codes @ 1..) => say(format_args!(
                "Next: photograph the {codes} QR codes. Space turns the page."
            )),
            _ => self.with_next(say),
        }
    }

    /// Shows one page on the screen.
    pub(crate) fn show(&self, page: u32) {
        if page > 0 && self.report.show(page, &self.tally) {
            return;
        }
        let kernel = rar_kernel::kernel();
        self.with_next_step(|next| {
            screen::show_sheet(&Summary {
                tally: &self.tally,
                processor: kernel.map_or("", |kernel| kernel.info().brand()),
                report: self.report.id(),
                next,
            });
        });
    }
}
