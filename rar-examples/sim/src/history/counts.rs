//! What happened in an episode, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::op::Op;

/// How often things happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) flushes: AtomicU64,
    /// Flushes that returned an error.
    pub(crate) errors: AtomicU64,
    /// Operations of each kind.
    pub(crate) kinds: [AtomicU64; Op::KINDS],
    /// Operations that found what they needed taken.
    pub(crate) skipped: AtomicU64,
    /// Flushes from an interrupt whose CPU held slots.
    pub(crate) nested: AtomicU64,
    /// Claims that found no free slot, and took over one that served nobody any more.
    pub(crate) taken_over: AtomicU64,
    /// Flushes that were ended by another CPU than the one that started them.
    pub(crate) ended_elsewhere: AtomicU64,
    /// Flushes whose value was forgotten.
    pub(crate) forgotten: AtomicU64,
    /// Flushes that never ended.
    pub(crate) stuck: AtomicU64,
    /// CPUs that were declared dead.
    pub(crate) dead: AtomicU64,
    /// Ends of lazy mode that flushed, since somebody had skipped the CPU.
    pub(crate) made_up: AtomicU64,
    /// CPUs that have done their part.
    pub(crate) done: AtomicU64,
    /// CPUs that have nothing left to handle either.
    pub(crate) idle: AtomicU64,
}

pub(super) fn count(events: &AtomicU64) {
    events.fetch_add(1, Ordering::Relaxed);
}
