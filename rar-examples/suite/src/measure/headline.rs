//! All measurements in one line.

use core::fmt::{self, Write as _};

use rar_vocabulary::{Measurement, Method, State, Text};

/// The observation of the test: the medians of flushing one page on all CPUs, and of what flushes
/// are compared with.
pub(super) struct Headline {
    text: Text<240>,
    points: u32,
    spoiled: u64,
}

impl Headline {
    pub(super) const fn new() -> Self {
        Self {
            text: Text::new(),
            points: 0,
            spoiled: 0,
        }
    }

    pub(super) fn see(&mut self, measurement: &Measurement) {
        let Measurement {
            method,
            targets,
            pages,
            state,
            contenders,
            p50,
            ticks_per_millisecond,
            ..
        } = *measurement;
        self.points += 1;
        self.spoiled += measurement.spoiled;
        let plain = matches!(state, State::Local | State::Spinning) && contenders == 1;
        let widest = targets + 1 == measurement.cpus;
        // An NMI and two of the local flushes flush everything, and a method that is not a flush
        // names no page.
        let one_page = pages == 1 || !matches!(method, Method::Rar | Method::Ipi) && pages == 0;
        if !plain || !one_page || targets > 0 && !widest {
            return;
        }
        // What does not fit is cut off.
        let nanoseconds = p50.saturating_mul(1_000_000) / ticks_per_millisecond.max(1);
        let _ = write!(self.text, "; {} ", method.name());
        let _ = match targets {
            0 => write!(self.text, "{nanoseconds} ns"),
            _ => write!(self.text, "of {targets} {nanoseconds} ns"),
        };
    }
}

impl fmt::Display for Headline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} points, {} spoiled; medians",
            self.points, self.spoiled
        )?;
        f.write_str(self.text.as_str())
    }
}
