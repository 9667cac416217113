//! All measurements in one line.

use core::fmt::{self, Write as _};

use rar_vocabulary::{Measurement, Method, State, Text};

/// A payload table has as many entries: with more targets, a driver that used one entry for each
/// would have to wait. Whether RAR is slower than interrupts there is an open question.
const ENTRIES: u32 = 64;

/// The observation of the test: the medians of flushing one page on all CPUs, by one CPU and by all
/// at once, and of what flushes are compared with.
pub(super) struct Headline {
    text: Text<320>,
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
        // What does not fit is cut off.
        let nanoseconds = p50.saturating_mul(1_000_000) / ticks_per_millisecond.max(1);
        let by_driver = matches!(method, Method::Rar | Method::Ipi);
        let widest = targets + 1 == measurement.cpus;
        if by_driver && pages == 1 && contenders > 1 && contenders == measurement.cpus && widest {
            let name = method.name();
            let _ = write!(self.text, "; {name} by {contenders} at once of {targets}");
            let _ = match targets {
                0..=ENTRIES => write!(self.text, " as proxy {nanoseconds} ns"),
                _ => write!(self.text, " {nanoseconds} ns"),
            };
        }
        let plain = matches!(state, State::Local | State::Spinning) && contenders == 1;
        // An NMI and two of the local flushes flush everything, and a method that is not a flush
        // names no page.
        let one_page = pages == 1 || !by_driver && pages == 0;
        if !plain || !one_page || targets > 0 && !widest {
            return;
        }
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

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;

    use rar_vocabulary::{Backend, Disturbances, Histogram};

    use super::*;

    fn crowd(cpus: u32, contenders: u32) -> std::string::String {
        let mut headline = Headline::new();
        headline.see(&Measurement {
            method: Method::Rar,
            backend: Backend::Model,
            cpus,
            targets: cpus - 1,
            pages: 1,
            state: State::Spinning,
            contenders,
            samples: 1,
            ticks_per_millisecond: 1_000_000,
            min: 7,
            p50: 7,
            p99: 7,
            max: 7,
            histogram: Histogram::new(),
            spoiled: 0,
            disturbances: Disturbances::NONE,
        });
        headline.to_string()
    }

    /// The open argument is about more targets than entries; fewer CPUs only stand for it.
    #[test]
    fn all_at_once_is_a_proxy_up_to_as_many_targets_as_entries() {
        let said = "1 points, 0 spoiled; medians; rar by";
        let proxy = std::format!("{said} 65 at once of 64 as proxy 7 ns");
        assert_eq!(crowd(65, 65), proxy);
        assert_eq!(crowd(66, 66), std::format!("{said} 66 at once of 65 7 ns"));
        assert!(!crowd(66, 64).contains("at once"));
    }
}
