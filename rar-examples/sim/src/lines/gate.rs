//! Where some CPUs wait for each other.

use std::cell::Cell;

use crate::schedule::step;

/// Opens when the last of its CPUs has come.
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

    /// Waits for the others; the last one does something before all go on.
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
