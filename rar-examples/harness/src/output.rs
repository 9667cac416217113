//! Standard output and error of a command: a reader that goes away ends it quietly.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

use crate::interrupt::{self, Request};

/// Prints a line to standard output.
#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::output::print(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Prints to standard output.
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => {
        $crate::output::print(format_args!($($text)*))
    };
}

/// Prints a line to standard error.
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => {
        $crate::output::print_error(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Prints to standard output; if that fails, the command is asked to end.
pub fn print(text: fmt::Arguments<'_>) {
    check(io::stdout().write_fmt(text));
}

/// Shows what was printed to standard output without a line end.
pub fn flush() {
    check(io::stdout().flush());
}

/// Prints to standard error; if that fails, the command is asked to end.
pub fn print_error(text: fmt::Arguments<'_>) {
    if cfg!(test) {
        // What a test prints is shown only if it fails.
        eprint!("{text}");
        return;
    }
    check(io::stderr().write_fmt(text));
}

fn check(written: io::Result<()>) {
    if let Err(error) = written {
        interrupt::request(match error.kind() {
            ErrorKind::BrokenPipe => Request::OutputClosed,
            _ => Request::OutputFailed,
        });
    }
}
