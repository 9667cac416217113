//! The counts of an episode.

use std::sync::atomic::{AtomicU64, Ordering};

use super::op::Op;

/// How often each event happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) flushes: AtomicU64,
    /// Flushes that returned an error.
    pub(crate) errors: AtomicU64,
    /// Operations of each kind.
    pub(crate) kinds: [AtomicU64; Op::KINDS],
    /// Operations that were skipped because a lock was taken or a page was missing.
    pub(crate) skipped: AtomicU64,
    /// Flushes from an interrupt whose CPU held slots.
    pub(crate) nested: AtomicU64,
    /// Claims that found no free slot and took over an answered one.
    pub(crate) taken_over: AtomicU64,
    /// Flushes that another CPU ended than the one that started them.
    pub(crate) ended_elsewhere: AtomicU64,
    /// Flushes whose value was forgotten.
    pub(crate) forgotten: AtomicU64,
    /// Flushes that never ended.
    pub(crate) stuck: AtomicU64,
    /// CPUs that were declared dead.
    pub(crate) dead: AtomicU64,
    /// Ends of lazy mode that flushed, since a flush had skipped the CPU.
    pub(crate) made_up: AtomicU64,
    /// CPUs that have executed all their operations.
    pub(crate) done: AtomicU64,
    /// CPUs that have also handled all their interrupts.
    pub(crate) idle: AtomicU64,
}

pub(super) fn count(events: &AtomicU64) {
    events.fetch_add(1, Ordering::Relaxed);
}
