//! When counts are written to a trace before the guest ends: those of a CPU while it runs, and all
//! of them when every CPU has stopped.

use core::sync::atomic::{AtomicU64, Ordering};

/// Seconds between two reports of counts that go on changing.
const LONGEST: u64 = 10;

/// The counts of a CPU that a trace has already, each as the sum of all its counters.
///
/// Writing takes time, which a guest in the middle of its work may miss. So counts are written once
/// they have been at rest for a second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reported {
    /// The sum at the last report, and when that was.
    total: u64,
    at: u64,
    /// The sum at the last look, and when that was.
    seen: u64,
    looked: u64,
}

impl Reported {
    /// Returns whether it is time to look at the counts.
    pub(crate) const fn is_due(&self, now: u64, second: u64) -> bool {
        now.wrapping_sub(self.looked) >= second
    }

    /// Takes the sum of the counts; returns whether they are to be written.
    pub(crate) fn look(&mut self, total: u64, now: u64, second: u64) -> bool {
        if self.at == 0 {
            self.at = now;
        }
        let rests = total == self.seen;
        let is_long_ago = now.wrapping_sub(self.at) >= LONGEST.saturating_mul(second);
        (self.seen, self.looked) = (total, now);
        if total == self.total || !(rests || is_long_ago) {
            return false;
        }
        (self.total, self.at) = (total, now);
        true
    }
}

/// The counts of all CPUs that the last summary of stopped CPUs had, as one sum.
///
/// A guest may stop all of its CPUs again and again, and let an NMI wake them: a summary that says
/// what the last one said would be no news.
#[derive(Debug)]
pub(crate) struct ReportedStop {
    /// One more than the sum; 0 before the first summary.
    total: AtomicU64,
}

impl ReportedStop {
    pub(crate) const fn new() -> Self {
        Self {
            total: AtomicU64::new(0),
        }
    }

    /// Takes the sum of the counts; returns whether a summary is to be written. Of CPUs that stop
    /// at once one writes it.
    pub(crate) fn look(&self, total: u64) -> bool {
        let total = total.wrapping_add(1);
        // Counts are read before; nothing else is handed over.
        self.total.swap(total, Ordering::Relaxed) != total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_reported_once_until_something_is_counted() {
        let stop = ReportedStop::new();
        let looks = [0, 0, 0, 7, 7, 8, 8].map(|total| stop.look(total));
        assert_eq!(looks, [true, false, false, true, false, true, false]);
    }

    #[test]
    fn counts_are_written_when_they_rest_or_after_a_long_time() {
        const SECOND: u64 = 1000;
        let mut reported = Reported::default();
        let mut written = Vec::new();
        // The counts grow from the 3rd second to the 25th, and once more in the 30th.
        for second in 1..40 {
            let total = if second < 30 {
                second.clamp(3, 25) - 3
            } else {
                50
            };
            let now = second * SECOND;
            assert!(reported.is_due(now, SECOND) && !reported.is_due(now, u64::MAX));
            if reported.look(total, now, SECOND) {
                written.push((second, total));
            }
            assert!(!reported.is_due(now + SECOND - 1, SECOND));
        }
        assert_eq!(written, [(11, 8), (21, 18), (26, 22), (31, 50)]);
    }
}
