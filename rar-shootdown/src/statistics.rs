//! How often the rare things happened.

use rar_percpu::const_unless_loom;
use rar_percpu::sync::{AtomicU64, Ordering};

/// Counts of what is rare in a healthy system. The ordinary flush counts nothing and writes no shared line.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) fallbacks: AtomicU64,
    pub(crate) resignals: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) slotless: AtomicU64,
    pub(crate) collapsed: AtomicU64,
    pub(crate) errors: AtomicU64,
}

/// A reading of the counts since the start, each for all CPUs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Statistics {
    /// CPUs that were asked by the fallback because they did not answer the signal, or answered FAILURE.
    pub fallbacks: u64,
    /// Signals that were sent a second time.
    pub resignals: u64,
    /// FAILURE bytes that were seen.
    pub failures: u64,
    /// Flushes that found no slot and went by generation alone.
    pub slotless: u64,
    /// Flushes of several operations that became one, by the policy or for want of slots.
    pub collapsed: u64,
    /// Waits that ended in an error.
    pub errors: u64,
    /// Slots in quarantine at this moment.
    pub quarantined: usize,
}

impl Counters {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                fallbacks: AtomicU64::new(0),
                resignals: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                slotless: AtomicU64::new(0),
                collapsed: AtomicU64::new(0),
                errors: AtomicU64::new(0),
            }
        }
    }

    pub(crate) fn read(&self, quarantined: usize) -> Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            fallbacks: get(&self.fallbacks),
            resignals: get(&self.resignals),
            failures: get(&self.failures),
            slotless: get(&self.slotless),
            collapsed: get(&self.collapsed),
            errors: get(&self.errors),
            quarantined,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, events: usize) {
    counter.fetch_add(events as u64, Ordering::Relaxed);
}
