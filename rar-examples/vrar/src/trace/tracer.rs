//! The lines of a trace, from all CPUs to one port.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};

use rar_vocabulary::Text;

use crate::config::Config;
use crate::processor::native;
use crate::trace::lines::Begin;
use crate::trace::lock::{LineBefore, TraceLock};

/// The longest line, without its end.
const LINE: usize = 1024;
const MICROSECONDS: u128 = 1_000_000;

/// What the lines of all CPUs share.
#[derive(Debug)]
pub(crate) struct Tracer {
    lock: TraceLock,
    /// The counter at the first line; 0 before it.
    start: AtomicU64,
}

impl Tracer {
    pub(crate) const fn new() -> Self {
        Self {
            lock: TraceLock::new(),
            start: AtomicU64::new(0),
        }
    }

    /// Writes a line; `line` is its kind and fields.
    pub(crate) fn write_line(&self, config: &Config, about: About, line: fmt::Arguments<'_>) {
        // Before the lock: no other CPU waits for the formatting.
        let line = Text::<LINE>::of(line);
        let second = config.trace.ticks_per_second;
        self.lock.with(native::time_stamp, second, |before| {
            if before == LineBefore::Torn {
                native::write_text(config.trace.port, "\n");
            }
            let now = native::time_stamp();
            let mut start = self.start.load(Ordering::Relaxed);
            if start == 0 {
                start = now;
                self.start.store(now, Ordering::Relaxed);
                begin(config);
            }
            write_out(config, now.saturating_sub(start), about, line.as_str());
        });
    }
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The CPU with this APIC id.
    Cpu(u32),
    /// The whole machine.
    Machine,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(id) => write!(f, "{id}"),
            Self::Machine => f.write_str("-"),
        }
    }
}

/// Writes the lines that come before all others.
fn begin(config: &Config) {
    Begin(config).lines(|line| {
        let line = Text::<LINE>::of(line);
        write_out(config, 0, About::Machine, line.as_str());
    });
}

fn write_out(config: &Config, ticks: u64, about: About, line: &str) {
    let head = head(ticks, config.trace.ticks_per_second, about);
    native::write_text(config.trace.port, head.as_str());
    native::write_text(config.trace.port, line);
    native::write_text(config.trace.port, "\n");
}

/// Returns the beginning of a line.
fn head(ticks: u64, per_second: u64, about: About) -> Text<64> {
    let microseconds = u128::from(ticks) * MICROSECONDS / u128::from(per_second.max(1));
    let mut head = Text::new();
    // It fits.
    let _fits = write!(
        head,
        "vrar {}.{:06} {about} ",
        microseconds / MICROSECONDS,
        microseconds % MICROSECONDS
    );
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_time_and_cpu() {
        let head = |ticks, about| head(ticks, 2_000_000_000, about).as_str().to_owned();
        assert_eq!(head(0, About::Machine), "vrar 0.000000 - ");
        assert_eq!(head(4_000_002_000, About::Cpu(3)), "vrar 2.000001 3 ");
        let longest = head(u64::MAX, About::Cpu(u32::MAX));
        assert_eq!(longest, "vrar 9223372036.854775 4294967295 ");
        assert_eq!(
            super::head(5, 0, About::Machine).as_str(),
            "vrar 5.000000 - "
        );
    }
}
