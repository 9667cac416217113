//! Counts that each CPU keeps on lines of its own.

use core::marker::PhantomData;
#[cfg(not(all(rar_observed, not(rar_loom))))]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering;

#[cfg(all(rar_observed, not(rar_loom)))]
use crate::observed::AtomicU64;

/// Which of the counts of a CPU: an index whose meaning the layer above gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counter(u8);

impl Counter {
    /// How many counts each CPU keeps: as many words as fill three pairs of cache lines.
    pub const COUNT: usize = Self::LAST.index() + 1;

    /// The last count.
    pub const LAST: Self = Self(47);

    /// Returns the count of that index, or `None` from [`COUNT`](Self::COUNT) on.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if (index as usize) < Self::COUNT {
            Some(Self(index))
        } else {
            None
        }
    }

    /// Returns the index, below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A reading of all counts, by [`Counter::index`].
pub type Counts = [u64; Counter::COUNT];

/// The counts of one CPU, on pairs of lines that no other CPU writes while the CPU is registered.
///
/// Of `core` under loom, too: no decision depends on a count.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct CpuCounters {
    counts: [AtomicU64; Counter::COUNT],
}

/// The counts that code on one CPU may raise: its own.
/// [`Domain::own_counters`](crate::Domain::own_counters) gives them.
///
/// A value cannot be sent to another CPU, as the [`PinnedCpu`](crate::PinnedCpu) that it comes
/// from.
#[derive(Clone, Copy, Debug)]
pub struct OwnCounters<'c> {
    counters: &'c CpuCounters,
    writers: Writers,
    not_send: PhantomData<*const ()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    /// The CPU has memory of its own.
    One,
    /// It is not registered, and shares its counts with the others that are not.
    Several,
}

impl CpuCounters {
    pub(crate) const fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; Counter::COUNT],
        }
    }

    /// Reads each count, one after the other: they are not of one moment.
    pub(crate) fn read(&self) -> Counts {
        let mut counts = [0; Counter::COUNT];
        for (value, count) in counts.iter_mut().zip(&self.counts) {
            *value = count.load(Ordering::Relaxed);
        }
        counts
    }

    /// Takes over the counts of a CPU that is gone, and leaves it none.
    pub(crate) fn take(&self, gone: &Self) {
        for (count, gone) in self.counts.iter().zip(&gone.counts) {
            let events = gone.swap(0, Ordering::Relaxed);
            if events > 0 {
                count.fetch_add(events, Ordering::Relaxed);
            }
        }
    }

    #[inline]
    fn count(&self, counter: Counter) -> Option<&AtomicU64> {
        self.counts.get(counter.index())
    }
}

impl<'c> OwnCounters<'c> {
    /// Returns counts that one CPU raises. Only for code on that CPU.
    #[inline]
    pub(crate) fn of_one(counters: &'c CpuCounters) -> Self {
        Self {
            counters,
            writers: Writers::One,
            not_send: PhantomData,
        }
    }

    /// Returns counts that several CPUs raise.
    #[inline]
    pub(crate) fn of_several(counters: &'c CpuCounters) -> Self {
        Self {
            counters,
            writers: Writers::Several,
            not_send: PhantomData,
        }
    }

    /// Raises a count of what is rare, by a locked instruction: no handler that cuts in loses or
    /// costs an event.
    pub fn add_exactly(self, counter: Counter, events: u64) {
        if let Some(count) = self.counters.count(counter) {
            count.fetch_add(events, Ordering::Relaxed);
        }
    }

    /// Raises a count. It wraps after 2^64 events.
    ///
    /// Two plain accesses to a line that no other CPU writes, and no locked instruction; the
    /// compilers of x86 make one `ADD` of them. Where they stay two, a handler that raises the same
    /// count between them is not counted. So a count is never too high, and never zero after an
    /// event.
    #[inline]
    pub fn add(self, counter: Counter, events: u64) {
        let Some(count) = self.counters.count(counter).filter(|_| events > 0) else {
            return;
        };
        match self.writers {
            Writers::One => {
                let before = count.load(Ordering::Relaxed);
                count.store(before.wrapping_add(events), Ordering::Relaxed);
            }
            Writers::Several => {
                count.fetch_add(events, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn an_index_beyond_the_counts_is_no_counter() {
        assert_eq!(Counter::new(47).map(Counter::index), Some(47));
        assert_eq!(Counter::new(48), None);
    }
}
