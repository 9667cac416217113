//! Where some CPUs wait for each other.

use std::cell::Cell;

use crate::schedule::step;

/// Opens when its last CPU has arrived.
pub(super) struct Gate {
    missing: Cell<u32>,
}

impl Gate {
    pub(super) const fn new(cpus: u32) -> Self {
        Self {
            missing: Cell::new(cpus),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.missing.get() == 0
    }

    /// Waits for the others. The last one calls `last` before all continue.
    pub(super) fn pass(&self, last: impl FnOnce()) {
        let missing = self.missing.get() - 1;
        if missing == 0 {
            last();
        }
        self.missing.set(missing);
        while !self.is_open() {
            step();
        }
    }
}
