//! Reads what a command prints, and shows it if that is wanted.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::Verbosity;
use crate::output;

/// Reads a pipe to its end on a thread of its own; `all` gets each line as it comes.
pub(super) fn collect(
    pipe: impl Read + Send + 'static,
    verbosity: Verbosity,
    all: Arc<Mutex<String>>,
) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut own = String::new();
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let text = String::from_utf8_lossy(&line);
            if verbosity.is_verbose() {
                output::print_error(format_args!("{text}"));
            }
            own.push_str(&text);
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
            line.clear();
        }
        own
    })
}
