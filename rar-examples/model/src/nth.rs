//! A counter for intermittent faults.

use core::sync::atomic::{AtomicU8, Ordering};

#[derive(Debug, Default)]
pub(crate) struct EveryNth(AtomicU8);

impl EveryNth {
    /// Counts one event and returns whether it is an `n`-th one; 0 counts nothing.
    pub(crate) fn is_due(&self, n: u8) -> bool {
        let next = |count: u8| count.wrapping_add(1).checked_rem(n);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next)
            .is_ok_and(|before| next(before) == Some(0))
    }
}
