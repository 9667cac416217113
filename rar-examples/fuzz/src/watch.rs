//! Which input runs, and for how long: an input that does not end can only be named from outside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// No input runs.
const IDLE: u64 = u64::MAX;

/// The input that runs at this moment. It guards no other data: Relaxed is enough.
#[derive(Debug)]
pub struct Watch {
    begin: Instant,
    number: AtomicU64,
    /// When it began, in milliseconds.
    since: AtomicU64,
}

impl Watch {
    /// Returns a watch of no input.
    #[must_use]
    pub fn new() -> Self {
        Self {
            begin: Instant::now(),
            number: AtomicU64::new(0),
            since: AtomicU64::new(IDLE),
        }
    }

    /// The input with this number begins.
    pub fn start(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
        self.since.store(self.now(), Ordering::Relaxed);
    }

    /// No input runs any more.
    pub fn end(&self) {
        self.since.store(IDLE, Ordering::Relaxed);
    }

    /// Returns the number of the input if it runs for longer than `limit`.
    #[must_use]
    pub fn overdue(&self, limit: Duration) -> Option<u64> {
        let since = self.since.load(Ordering::Relaxed);
        let elapsed = Duration::from_millis(self.now().saturating_sub(since));
        (elapsed > limit).then(|| self.number.load(Ordering::Relaxed))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(IDLE - 1)
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_overdue_while_it_runs_and_not_before_the_limit() {
        let (watch, short) = (Watch::new(), Duration::from_millis(10));
        std::thread::sleep(short * 3);
        assert_eq!(watch.overdue(short), None, "no input runs");
        watch.start(5);
        assert_eq!(watch.overdue(Duration::from_secs(3600)), None);
        std::thread::sleep(short * 3);
        assert_eq!(watch.overdue(short), Some(5));
        watch.end();
        assert_eq!(watch.overdue(short), None);
    }
}
