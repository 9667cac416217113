//! What is shown at the end, page by page: the summary, then the report's codes.

use core::fmt;

use rar_kernel::{Display, Ink, console, println, screen};
use rar_report::{EndReason, Symbol};
use rar_validate::{Full, Summary, Tally, fitting_symbol};

use crate::progress;
use crate::report::Report;

/// What a person does for a screen with codes.
const REMEDY: &str = "for QR codes take another mode: press e in the menu, and change \
                      gfxpayload to 1024x768x32";

/// The pages of a report.
pub(crate) struct Pages {
    tally: Tally,
    report: Report,
    /// How many codes the screen shows.
    codes: u32,
    /// How many pages the summary takes.
    summary: u32,
}

/// Says what the screen is, and what to do if it has no room for the usual codes.
pub(crate) fn tell_screen() {
    let Some(display) = screen::display() else {
        return println!("screen: none");
    };
    println!("screen: {display}");
    match fitting_symbol(screen::module_pixels) {
        Some(Symbol::DEFAULT) => {}
        Some(symbol) => {
            let version = symbol.version();
            println!("screen: small, so the QR codes are small and many (version {version})");
        }
        None => console::print_line_in(
            Ink::Note,
            format_args!("screen: no room for QR codes; {REMEDY}"),
        ),
    }
}

impl Pages {
    /// Makes the pages of what was seen.
    pub(crate) fn new(reason: EndReason) -> Self {
        let symbol = fitting_symbol(screen::module_pixels);
        let report = Report::new(reason, symbol.unwrap_or(Symbol::DEFAULT));
        let mut pages = Self {
            tally: progress::tally(),
            codes: match symbol {
                Some(symbol) if symbol == report.symbol() => report.codes(),
                _ => 0,
            },
            report,
            summary: 1,
        };
        pages.summary = pages.with_summary(|summary| screen::sheet_pages(summary));
        pages
    }

    /// Returns how many there are.
    pub(crate) fn count(&self) -> u32 {
        self.summary + self.codes
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
    fn with_next<R>(&self, say: impl FnOnce(fmt::Arguments<'_>) -> R) -> R {
        if self.report.codes() == 0 {
            return say(format_args!("the report does not fit in its memory"));
        }
        let codes = self.codes;
        match codes {
            0 => {}
            1 => return say(format_args!("the report follows as one QR code")),
            _ => return say(format_args!("the report follows as {codes} QR codes")),
        }
        let screen = match screen::display() {
            Some(Display::Pixels(_)) => "this screen has too few pixels for QR codes",
            Some(Display::Text { .. }) => "this screen has no pixels for QR codes",
            None => "there is no screen for QR codes",
        };
        let rest = match console::has_serial() {
            true => "the report is on the serial port only",
            false => "no serial port takes it, so this summary is all that remains",
        };
        say(format_args!("{screen}: {rest}"))
    }

    /// Hands over what a person who reads the summary does next.
    fn with_next_step<R>(&self, say: impl FnOnce(fmt::Arguments<'_>) -> R) -> R {
        match self.codes {
            0 if self.report.codes() == 0 => self.with_next(say),
            0 => self.with_next(|next| say(format_args!("{next}; {REMEDY}"))),
            1 => say(format_args!(
                "Next: photograph the QR code. Space turns the page."
            )),
            codes => say(format_args!(
                "Next: photograph the {codes} QR codes. Space turns the page."
            )),
        }
    }

    fn with_summary<R>(&self, show: impl FnOnce(&Summary<'_>) -> R) -> R {
        let kernel = rar_kernel::kernel();
        self.with_next_step(|next| {
            show(&Summary {
                tally: &self.tally,
                processor: kernel.map_or("", |kernel| kernel.info().brand()),
                report: self.report.id(),
                next,
            })
        })
    }

    /// Shows one page on the screen.
    pub(crate) fn show(&self, page: u32) {
        match page.checked_sub(self.summary) {
            None => self.with_summary(|summary| screen::show_sheet(summary, page)),
            Some(code) => {
                let _shown = self.report.show(code + 1, &self.tally);
            }
        }
    }
}
