//! How often each CPU took an interrupt that no code asked for, by vector.

use core::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 128;
const COUNT_BITS: u32 = 32;
const VECTOR_BITS: u32 = 8;

/// The vector of NMIs.
pub const NMI_VECTOR: u8 = 2;

/// Interrupts of one vector on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strays {
    /// The number of the CPU.
    pub cpu: u32,
    /// The vector; that of NMIs is [`NMI_VECTOR`].
    pub vector: u8,
    /// How many came.
    pub count: u32,
}

/// Counts of interrupts, by CPU and vector, without a lock: interrupt handlers count here.
#[derive(Debug)]
pub struct StrayTable {
    /// A key and a count each, or 0: keys are never 0.
    places: [AtomicU64; CAPACITY],
    /// Those whose key had no room.
    others: AtomicU64,
    all: AtomicU64,
}

impl StrayTable {
    /// Returns a table without counts.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: [const { AtomicU64::new(0) }; CAPACITY],
            others: AtomicU64::new(0),
            all: AtomicU64::new(0),
        }
    }

    /// Counts one interrupt.
    pub fn count(&self, cpu: u32, vector: u8) {
        // Nothing is published by these counts: every access is relaxed.
        self.all.fetch_add(1, Ordering::Relaxed);
        let key =
            (u64::from(cpu & 0x7f_ffff) << VECTOR_BITS | u64::from(vector) | 1 << 31) << COUNT_BITS;
        for place in &self.places {
            let counted = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                let mine = old == 0 || old >> COUNT_BITS == key >> COUNT_BITS;
                let count = (old & u64::from(u32::MAX)).saturating_add(1);
                mine.then(|| key | count.min(u64::from(u32::MAX)))
            });
            if counted.is_ok() {
                return;
            }
        }
        self.others.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns what was counted, in the order of each first one.
    pub fn iter(&self) -> impl Iterator<Item = Strays> {
        let places = self.places.iter();
        let values = places.map(|place| place.load(Ordering::Relaxed));
        values.take_while(|value| *value != 0).map(|value| {
            let [count @ .., vector, low, middle, high] = value.to_le_bytes();
            Strays {
                cpu: u32::from_le_bytes([low, middle, high & 0x7f, 0]),
                vector,
                count: u32::from_le_bytes(count),
            }
        })
    }

    /// Returns how many of a vector were counted, without those that had no room.
    pub fn of(&self, vector: u8) -> u64 {
        let of_vector = self.iter().filter(|strays| strays.vector == vector);
        of_vector.map(|strays| u64::from(strays.count)).sum()
    }

    /// Returns how many were counted without their CPU and vector.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }

    /// Returns how many were counted in all.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }
}

impl Default for StrayTable {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_by_cpu_and_vector() {
        let table = StrayTable::new();
        for (cpu, vector) in [(0, 0xff), (1023, 0), (0, 0xff), (0, 0x30)] {
            table.count(cpu, vector);
        }
        let seen: Vec<_> = table
            .iter()
            .map(|strays| (strays.cpu, strays.vector, strays.count))
            .collect();
        assert_eq!(seen, [(0, 0xff, 2), (1023, 0, 1), (0, 0x30, 1)]);
        assert_eq!((table.all(), table.others()), (4, 0));
        assert_eq!([0xff, 0, 1].map(|vector| table.of(vector)), [2, 1, 0]);
    }

    #[test]
    fn what_has_no_room_is_counted_in_sum() {
        let table = StrayTable::new();
        for cpu in 0..=CAPACITY {
            table.count(u32::try_from(cpu).unwrap(), 2);
        }
        table.count(0, 2);
        assert_eq!((table.iter().count(), table.others()), (CAPACITY, 1));
        assert_eq!(table.iter().next().unwrap().count, 2);
    }

    #[test]
    fn a_full_count_stays_full() {
        let table = StrayTable::new();
        table.count(5, 9);
        table.places[0].fetch_or(u64::from(u32::MAX), Ordering::Relaxed);
        table.count(5, 9);
        let strays = table.iter().next().unwrap();
        assert_eq!((strays.cpu, strays.vector, strays.count), (5, 9, u32::MAX));
    }
}
