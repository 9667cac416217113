//! The positive controls of a run: what each target read before the flush.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::record::{Control, MAX_CPUS};

/// How many targets a record lists: enough to judge, few enough for a line.
const MAX_LISTED: usize = 64;

/// The controls of all CPUs.
#[derive(Debug)]
pub(crate) struct Controls {
    cells: [Cell; MAX_CPUS],
}

#[derive(Debug)]
struct Cell {
    taken: AtomicU8,
    stale: AtomicU64,
    new: AtomicU64,
}

/// The controls that a record lists.
pub(crate) struct Listed {
    controls: [Control; MAX_LISTED],
    count: usize,
}

impl Controls {
    pub(crate) const fn new() -> Self {
        Self {
            cells: [const {
                Cell {
                    taken: AtomicU8::new(0),
                    stale: AtomicU64::new(0),
                    new: AtomicU64::new(0),
                }
            }; MAX_CPUS],
        }
    }

    /// Keeps what a target read before the flush; only its first control counts.
    pub(crate) fn take(&self, cpu: u32, stale: u64, new: u64) {
        let Some(cell) = self.cells.get(cpu as usize) else {
            return;
        };
        if cell.taken.load(Ordering::Relaxed) == 0 {
            cell.stale.store(stale, Ordering::Relaxed);
            cell.new.store(new, Ordering::Relaxed);
            cell.taken.store(1, Ordering::Release);
        }
    }

    /// Drops the control of a CPU.
    pub(crate) fn drop_of(&self, cpu: u32) {
        if let Some(cell) = self.cells.get(cpu as usize) {
            cell.taken.store(0, Ordering::Release);
        }
    }

    /// Drops all controls.
    pub(crate) fn clear(&self) {
        for cell in &self.cells {
            cell.taken.store(0, Ordering::Release);
        }
    }

    /// Drops all controls and returns the first of them.
    pub(crate) fn list(&self) -> Listed {
        let mut listed = Listed {
            controls: [Control::default(); MAX_LISTED],
            count: 0,
        };
        for (cell, cpu) in self.cells.iter().zip(0..) {
            let taken = cell.taken.swap(0, Ordering::AcqRel) != 0;
            if let Some(control) = listed.controls.get_mut(listed.count).filter(|_| taken) {
                *control = Control {
                    cpu,
                    stale: cell.stale.load(Ordering::Relaxed),
                    new: cell.new.load(Ordering::Relaxed),
                };
                listed.count += 1;
            }
        }
        listed
    }
}

impl Listed {
    pub(crate) fn as_slice(&self) -> &[Control] {
        self.controls.get(..self.count).unwrap_or_default()
    }

    /// Returns the first CPU that took no control although it should have: every CPU except the
    /// initiator, or the only one.
    pub(crate) fn missing(&self, initiator: u32, cpus: u32) -> Option<u32> {
        let listed = u32::try_from(MAX_LISTED).unwrap_or(u32::MAX);
        (0..cpus.min(listed))
            .filter(|cpu| *cpu != initiator || cpus == 1)
            .find(|cpu| !self.as_slice().iter().any(|control| control.cpu == *cpu))
    }
}
