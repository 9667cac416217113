//! The kernel's locks over its page tables.

use std::sync::atomic::{AtomicI32, Ordering};

/// A lock without a wait: a CPU that does not get it does something else.
#[derive(Debug, Default)]
pub(crate) struct TryLock(AtomicI32);

/// Unlocks a [`TryLock`] when it is dropped.
pub(crate) struct Held<'l> {
    lock: &'l TryLock,
    share: i32,
}

const EXCLUSIVE: i32 = -1;

impl TryLock {
    pub(crate) fn shared(&self) -> Option<Held<'_>> {
        let taken = self
            .0
            .try_update(Ordering::AcqRel, Ordering::Acquire, |holders| {
                (holders >= 0).then_some(holders + 1)
            });
        taken.is_ok().then_some(Held {
            lock: self,
            share: 1,
        })
    }

    pub(crate) fn exclusive(&self) -> Option<Held<'_>> {
        let taken = self
            .0
            .compare_exchange(0, EXCLUSIVE, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok().then_some(Held {
            lock: self,
            share: EXCLUSIVE,
        })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.lock.0.fetch_sub(self.share, Ordering::AcqRel);
    }
}
