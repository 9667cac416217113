//! The payloads of a CPU at the moment of its signal.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Entries of a table.
const ENTRIES: usize = 64;
/// Polls of a lock whose holder hashes or scans one vector.
const MAX_POLLS: u32 = 100_000_000;
/// What the payloads of a CPU looked like when it was signalled.
///
/// The lock keeps scans apart from looks: what a look finds pending is executed by a later scan,
/// and after a scan no payload is signalled. So a hash is never compared with that of another use
/// of the entry.
#[derive(Debug)]
pub(crate) struct SignalledPayloads {
    locked: AtomicBool,
    signalled: AtomicU64,
    hashes: [AtomicU64; ENTRIES],
}

impl SignalledPayloads {
    pub(crate) const fn new() -> Self {
        Self {
            locked: AtomicBool::new(false),
            signalled: AtomicU64::new(0),
            hashes: [const { AtomicU64::new(0) }; ENTRIES],
        }
    }

    pub(crate) fn with<T>(&self, action: impl FnOnce() -> T) -> T {
        for _ in 0..MAX_POLLS {
            if !self.locked.swap(true, Ordering::Acquire) {
                break;
            }
            core::hint::spin_loop();
        }
        let result = action();
        self.locked.store(false, Ordering::Release);
        result
    }

    pub(crate) fn note(&self, index: u8, hash: u64) {
        if let Some(place) = self.hashes.get(usize::from(index)) {
            place.store(hash, Ordering::Relaxed);
            self.signalled.fetch_or(1 << index, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, index: u8) -> Option<u64> {
        let signalled = self.signalled.load(Ordering::Relaxed) >> index & 1 != 0;
        let place = self.hashes.get(usize::from(index)).filter(|_| signalled)?;
        Some(place.load(Ordering::Relaxed))
    }

    /// Forgets all: the payloads were executed.
    pub(crate) fn clear(&self) {
        self.signalled.store(0, Ordering::Relaxed);
    }
}
