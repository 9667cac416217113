//! The record of executed entries.

use crate::{Action, Cr3Mismatch, Illegal, Refused};

/// The outcome of one PENDING entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Executed; SUCCESS.
    Performed,
    /// INVPG with CR3 match found another CR3; nothing was invalidated.
    Cr3Differs(Cr3Mismatch),
    /// The payload has no meaning; FAILURE.
    Illegal(Illegal),
    /// The CPU is in no state to do it; FAILURE.
    Refused(Refused),
    /// Fault: FAILURE without execution.
    InjectedFailure,
    /// Fault: SUCCESS without execution.
    SuccessWithoutFlush,
    /// Fault: the byte stays PENDING.
    Unanswered,
}

/// The record of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Execution {
    /// The index in the payload table and the action vector.
    pub index: u8,
    /// Quadwords 0-3 as the unit read them.
    pub words: [u64; 4],
    /// Their meaning, also when a fault kept the unit from acting on it.
    pub decoded: Result<Action, Illegal>,
    /// The outcome.
    pub outcome: Outcome,
}

/// Receives the record of every entry: after its invalidation, and before its final byte is stored,
/// so that software which sees the byte finds the record.
pub trait Recorder {
    /// Takes one record.
    fn record(&mut self, execution: Execution);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecord;

impl Recorder for NoRecord {
    fn record(&mut self, _execution: Execution) {}
}

impl<F: FnMut(Execution)> Recorder for F {
    fn record(&mut self, execution: Execution) {
        self(execution);
    }
}

/// Keeps the latest records in the caller's buffer.
#[derive(Debug)]
pub struct Ring<'a> {
    places: &'a mut [Option<Execution>],
    total: usize,
}

impl<'a> Ring<'a> {
    /// Returns an empty ring over `places`, whose old contents are cleared.
    #[must_use]
    pub fn new(places: &'a mut [Option<Execution>]) -> Self {
        places.fill(None);
        Self { places, total: 0 }
    }

    /// Returns the number of all records; the buffer keeps the latest.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    /// Returns the kept records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Execution> {
        let oldest = self.total.checked_rem(self.places.len()).unwrap_or(0);
        let (newer, older) = self.places.split_at(oldest);
        older.iter().chain(newer).flatten()
    }
}

impl Recorder for Ring<'_> {
    fn record(&mut self, execution: Execution) {
        let next = self.total.checked_rem(self.places.len());
        if let Some(place) = next.and_then(|index| self.places.get_mut(index)) {
            *place = Some(execution);
        }
        self.total += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(records: usize, capacity: usize) -> ([u8; 4], usize) {
        let mut places = [None; 4];
        let mut ring = Ring::new(&mut places[..capacity]);
        for index in (0..).take(records) {
            ring.record(Execution {
                index,
                words: [0; 4],
                decoded: Err(Illegal::ZeroPages),
                outcome: Outcome::Illegal(Illegal::ZeroPages),
            });
        }
        let mut seen = [u8::MAX; 4];
        for (place, execution) in seen.iter_mut().zip(ring.iter()) {
            *place = execution.index;
        }
        (seen, ring.total())
    }

    #[test]
    fn the_ring_keeps_the_latest_in_order() {
        assert_eq!(indices(2, 4), ([0, 1, 255, 255], 2));
        assert_eq!(indices(4, 4), ([0, 1, 2, 3], 4));
        assert_eq!(indices(6, 4), ([2, 3, 4, 5], 6));
        assert_eq!(indices(3, 0), ([255; 4], 3));
    }
}
