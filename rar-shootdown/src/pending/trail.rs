//! When a flush first looked at the clock.

use crate::machine::Instant;

/// The trail of one flush, begun at its first look at the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trail {
    began: Instant,
}

impl Trail {
    pub(crate) fn begin(now: Instant) -> Self {
        Self { began: now }
    }

    /// Returns the nanoseconds between the beginning and a moment: 0 on a clock that goes back.
    pub(crate) fn nanoseconds_until(&self, now: Instant) -> u64 {
        now.as_nanos().saturating_sub(self.began.as_nanos())
    }
}
