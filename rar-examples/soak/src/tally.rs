//! Counts that all CPUs add to.

use core::sync::atomic::{AtomicU64, Ordering};

use rar_vocabulary::{
    SOAK_FAULTS, SOAK_OPERATIONS, Soak, SoakFault, SoakFaults, SoakFlushes, SoakOperation,
};

/// Counts that all CPUs add to.
#[derive(Debug)]
pub(crate) struct Tally {
    flushes: [AtomicU64; SOAK_OPERATIONS],
    verified: [AtomicU64; SOAK_OPERATIONS],
    injected: [AtomicU64; SOAK_FAULTS],
    accounted: [AtomicU64; SOAK_FAULTS],
    pub(crate) accesses: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) controls: AtomicU64,
    pub(crate) controls_seen: AtomicU64,
    pub(crate) switches: AtomicU64,
    pub(crate) kept: AtomicU64,
    pub(crate) migrations: AtomicU64,
    pub(crate) pcids: AtomicU64,
    pub(crate) lazy: AtomicU64,
    pub(crate) reused: AtomicU64,
    pub(crate) pauses: AtomicU64,
    pub(crate) unexplained: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Tally {
    pub(crate) const fn new() -> Self {
        Self {
            flushes: [const { AtomicU64::new(0) }; SOAK_OPERATIONS],
            verified: [const { AtomicU64::new(0) }; SOAK_OPERATIONS],
            injected: [const { AtomicU64::new(0) }; SOAK_FAULTS],
            accounted: [const { AtomicU64::new(0) }; SOAK_FAULTS],
            accesses: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            controls: AtomicU64::new(0),
            controls_seen: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            migrations: AtomicU64::new(0),
            pcids: AtomicU64::new(0),
            lazy: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            pauses: AtomicU64::new(0),
            unexplained: AtomicU64::new(0),
        }
    }

    pub(crate) fn flushed(&self, operation: SoakOperation, count: u64) {
        if let Some(counter) = self.flushes.get(operation as usize) {
            add(counter, count);
        }
    }

    pub(crate) fn verified(&self, operation: SoakOperation) {
        if let Some(counter) = self.verified.get(operation as usize) {
            add(counter, 1);
        }
    }

    pub(crate) fn injected(&self, fault: SoakFault) {
        if let Some(counter) = self.injected.get(fault as usize) {
            add(counter, 1);
        }
    }

    pub(crate) fn accounted(&self, fault: SoakFault) {
        if let Some(counter) = self.accounted.get(fault as usize) {
            add(counter, 1);
        }
    }

    /// Returns all flushes.
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.iter().map(read).sum()
    }

    pub(crate) fn read(&self, milliseconds: u64, online: u32) -> Soak {
        let mut operations = [SoakFlushes::default(); SOAK_OPERATIONS];
        let counters = self.flushes.iter().zip(&self.verified);
        for (each, (flushes, verified)) in operations.iter_mut().zip(counters) {
            *each = SoakFlushes {
                flushes: read(flushes),
                verified: read(verified),
            };
        }
        let mut faults = [SoakFaults::default(); SOAK_FAULTS];
        let counters = self.injected.iter().zip(&self.accounted);
        for (each, (injected, accounted)) in faults.iter_mut().zip(counters) {
            *each = SoakFaults {
                injected: read(injected),
                accounted: read(accounted),
            };
        }
        Soak {
            milliseconds,
            online,
            operations,
            faults,
            accesses: read(&self.accesses),
            stale: read(&self.stale),
            controls: read(&self.controls),
            controls_seen: read(&self.controls_seen),
            switches: read(&self.switches),
            kept: read(&self.kept),
            migrations: read(&self.migrations),
            pcids: read(&self.pcids),
            lazy: read(&self.lazy),
            reused: read(&self.reused),
            pauses: read(&self.pauses),
            unexplained: read(&self.unexplained),
        }
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
