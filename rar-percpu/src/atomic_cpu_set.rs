//! A set of CPUs that is shared between them.

use crate::cpu_id::CpuId;
use crate::cpu_out_of_range::CpuOutOfRange;
use crate::cpu_set::{CpuSet, DEFAULT_WORDS, place};
use crate::sync::{AtomicU64, Ordering, const_unless_loom, shared_array};

/// A set of CPUs that CPUs join and leave by themselves while others read it.
///
/// Reading it is a snapshot word by word, not an instant: a shootdown is right all the same because
/// a CPU that joins flushes *after* it has published itself (see [`Domain`](crate::Domain)).
#[derive(Debug)]
#[doc(alias = "mm_cpumask")]
pub struct AtomicCpuSet<const WORDS: usize = DEFAULT_WORDS> {
    /// The words that ever had a member, so that a snapshot reads no others.
    used: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> AtomicCpuSet<WORDS> {
    const_unless_loom! {
        /// Returns the empty set.
        pub fn new() -> Self {
            let _checked = CpuSet::<WORDS>::CAPACITY;
            Self {
                used: AtomicU64::new(0),
                words: shared_array!(AtomicU64::new(0); WORDS),
            }
        }
    }

    /// Adds a CPU. A full barrier on x86; put a `fence(SeqCst)` behind it before the CPU caches
    /// what the set stands for.
    ///
    /// # Errors
    ///
    /// [`CpuOutOfRange`] at or above [`CpuSet::CAPACITY`].
    pub fn insert(&self, cpu: CpuId) -> Result<(), CpuOutOfRange> {
        let (index, bit) = place(cpu);
        let word = self
            .words
            .get(index)
            .ok_or(CpuOutOfRange::new::<WORDS>(cpu))?;
        // The load keeps a context switch from writing to a line that every flush reads. Acquire:
        // who sees the mark of another CPU hands it on.
        if WORDS > 1 && self.used.load(Ordering::Acquire) & 1 << index == 0 {
            self.used.fetch_or(1 << index, Ordering::AcqRel);
        }
        // AcqRel: partner is `snapshot`; the Dekker order with the initiator comes from the fences
        // on both sides.
        word.fetch_or(bit, Ordering::AcqRel);
        Ok(())
    }

    /// Removes a CPU and returns whether it was a member.
    ///
    /// A CPU that switches away from an address space loads the other CR3 first, flushes the space
    /// unless the load has done so, and only then leaves the set.
    ///
    /// # Safety
    ///
    /// Flushes skip the CPU from this call on, and memory is freed on their word. If the set is
    /// used as the targets of flushes:
    ///
    /// 1. The CPU has flushed what the set stands for, the paging-structure caches included, since
    ///    it last could cache it.
    /// 2. It caches nothing of it again before it is inserted again.
    #[expect(
        unsafe_code,
        reason = "memory is freed on the word of a flush that skips the CPU"
    )]
    pub unsafe fn remove(&self, cpu: CpuId) -> bool {
        self.take_out(cpu)
    }

    pub(crate) fn take_out(&self, cpu: CpuId) -> bool {
        let (index, bit) = place(cpu);
        self.words
            .get(index)
            .is_some_and(|word| word.fetch_and(!bit, Ordering::AcqRel) & bit != 0)
    }

    /// Returns whether a CPU is a member at this moment.
    #[must_use]
    #[inline]
    pub fn contains(&self, cpu: CpuId) -> bool {
        let (index, bit) = place(cpu);
        self.words
            .get(index)
            .is_some_and(|word| word.load(Ordering::Acquire) & bit != 0)
    }

    /// Returns a copy, each word read once.
    #[must_use]
    #[inline]
    pub fn snapshot(&self) -> CpuSet<WORDS> {
        let mut set = CpuSet::new();
        self.add_to(&mut set);
        set
    }

    /// Adds the members to `set`, each word read once.
    #[inline]
    pub fn add_to(&self, set: &mut CpuSet<WORDS>) {
        let used = match WORDS {
            1 => 1,
            _ => self.used.load(Ordering::Acquire),
        };
        set.gain(used, |index| self.word(index));
    }

    /// Removes from `set` each CPU that is not a member; reads only the words that `set` has
    /// members in.
    #[inline]
    pub(crate) fn intersect(&self, set: &mut CpuSet<WORDS>) {
        set.keep(|index| self.word(index));
    }

    #[inline]
    fn word(&self, index: usize) -> u64 {
        self.words
            .get(index % WORDS)
            .map_or(0, |word| word.load(Ordering::Acquire))
    }
}

impl<const WORDS: usize> Default for AtomicCpuSet<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}
