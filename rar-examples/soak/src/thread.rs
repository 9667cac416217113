//! A thread of a space.

use core::sync::atomic::{AtomicU32, Ordering};

/// How many threads each space has.
pub(crate) const THREADS: usize = 8;

/// A thread of a space.
#[derive(Debug)]
pub(crate) struct Thread {
    /// The CPU that it runs on, by number from 1; 0 if it waits.
    runs_on: AtomicU32,
    /// The CPU that it ran on last, by number from 1.
    ran_on: AtomicU32,
}

impl Thread {
    pub(crate) const fn new() -> Self {
        Self {
            runs_on: AtomicU32::new(0),
            ran_on: AtomicU32::new(0),
        }
    }

    /// Takes the thread for a CPU, unless it runs; returns whether it ran elsewhere before.
    pub(crate) fn take(&self, cpu: u32) -> Option<bool> {
        let number = cpu + 1;
        let (free, taken) = (Ordering::Acquire, Ordering::Relaxed);
        let taken = self.runs_on.compare_exchange(0, number, free, taken);
        taken.ok().map(|_| {
            let last = self.ran_on.swap(number, Ordering::Relaxed);
            last != 0 && last != number
        })
    }

    pub(crate) fn put(&self) {
        self.runs_on.store(0, Ordering::Release);
    }
}
