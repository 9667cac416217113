//! Sets of CPUs: plain, and shared between CPUs.

use crate::cpu_id::CpuId;
use crate::sync::{AtomicU64, Ordering};
use crate::{const_unless_loom, shared_array};

/// How many words a set has unless told otherwise: 16 words, 1,024 CPUs.
pub const DEFAULT_WORDS: usize = 16;

/// A set of CPUs numbered 0 to `64 * WORDS - 1`, by value.
///
/// A summary word tells which words hold a member, so that walking a small set among 1,024 CPUs touches few words.
/// `WORDS` is 1 to 64, checked when compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "cpumask")]
pub struct CpuSet<const WORDS: usize = DEFAULT_WORDS> {
    summary: u64,
    words: [u64; WORDS],
}

impl<const WORDS: usize> CpuSet<WORDS> {
    /// How many CPUs the set can name.
    pub const CAPACITY: usize = {
        assert!(
            WORDS >= 1 && WORDS <= 64,
            "the summary word covers 1 to 64 words"
        );
        WORDS * 64
    };

    /// Returns the empty set.
    #[must_use]
    pub const fn new() -> Self {
        let _checked = Self::CAPACITY;
        Self {
            summary: 0,
            words: [0; WORDS],
        }
    }

    /// Adds a CPU.
    ///
    /// # Errors
    ///
    /// [`CpuOutOfRange`] at or above [`CpuSet::CAPACITY`]: to leave such a CPU out would mean not to flush it.
    pub fn insert(&mut self, cpu: CpuId) -> Result<(), CpuOutOfRange> {
        let (index, bit) = place(cpu);
        let word = self
            .words
            .get_mut(index)
            .ok_or(CpuOutOfRange::new::<WORDS>(cpu))?;
        *word |= bit;
        self.summary |= 1 << index;
        Ok(())
    }

    /// Removes a CPU and returns whether it was a member.
    pub fn remove(&mut self, cpu: CpuId) -> bool {
        let (index, bit) = place(cpu);
        let Some(word) = self.words.get_mut(index) else {
            return false;
        };
        let was = *word & bit != 0;
        *word &= !bit;
        if *word == 0 {
            self.summary &= !(1 << index);
        }
        was
    }

    /// Returns whether a CPU is a member.
    #[must_use]
    pub fn contains(&self, cpu: CpuId) -> bool {
        let (index, bit) = place(cpu);
        self.words.get(index).is_some_and(|word| word & bit != 0)
    }

    /// Returns whether the set has no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.summary == 0
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members_by_word()
            .map(|(_, word)| word.count_ones() as usize)
            .sum()
    }

    /// Keeps only the members that `other` has too.
    pub fn intersect_with(&mut self, other: &Self) {
        for (index, (mine, theirs)) in self.words.iter_mut().zip(&other.words).enumerate() {
            *mine &= theirs;
            if *mine == 0 {
                self.summary &= !(1 << index);
            }
        }
    }

    /// Returns the members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        self.members_by_word()
            .flat_map(|(index, word)| bits(word).map(move |bit| member(index, bit)))
    }

    fn members_by_word(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        bits(self.summary).filter_map(|index| self.words.get(index).map(|word| (index, *word)))
    }

    fn from_words(words: [u64; WORDS]) -> Self {
        let mut summary = 0;
        for (index, word) in words.iter().enumerate() {
            summary |= u64::from(*word != 0) << index;
        }
        Self { summary, words }
    }
}

impl<const WORDS: usize> Default for CpuSet<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "defmt")]
impl<const WORDS: usize> defmt::Format for CpuSet<WORDS> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "CpuSet({=[?]})", self.words.as_slice());
    }
}

/// A set of CPUs that CPUs join and leave by themselves while others read it.
///
/// Reading it is a snapshot word by word, not an instant: a shootdown is right all the same because a CPU that joins
/// flushes *after* it has published itself (see [`Domain`](crate::Domain)).
#[derive(Debug)]
#[doc(alias = "mm_cpumask")]
pub struct AtomicCpuSet<const WORDS: usize = DEFAULT_WORDS> {
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> AtomicCpuSet<WORDS> {
    const_unless_loom! {
        /// Returns the empty set.
        pub fn new() -> Self {
            let _checked = CpuSet::<WORDS>::CAPACITY;
            Self { words: shared_array!(AtomicU64::new(0)) }
        }
    }

    /// Adds a CPU. A full barrier on x86; put a `fence(SeqCst)` behind it before the CPU caches what the set stands for.
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
        // AcqRel: partner is `snapshot`; the Dekker order with the initiator comes from the fences on both sides.
        word.fetch_or(bit, Ordering::AcqRel);
        Ok(())
    }

    /// Removes a CPU and returns whether it was a member.
    pub fn remove(&self, cpu: CpuId) -> bool {
        let (index, bit) = place(cpu);
        self.words
            .get(index)
            .is_some_and(|word| word.fetch_and(!bit, Ordering::AcqRel) & bit != 0)
    }

    /// Returns whether a CPU is a member at this moment.
    #[must_use]
    pub fn contains(&self, cpu: CpuId) -> bool {
        let (index, bit) = place(cpu);
        self.words
            .get(index)
            .is_some_and(|word| word.load(Ordering::Acquire) & bit != 0)
    }

    /// Returns a copy, each word read once.
    #[must_use]
    pub fn snapshot(&self) -> CpuSet<WORDS> {
        let mut words = [0; WORDS];
        for (copy, word) in words.iter_mut().zip(&self.words) {
            *copy = word.load(Ordering::Acquire);
        }
        CpuSet::from_words(words)
    }
}

impl<const WORDS: usize> Default for AtomicCpuSet<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

/// A CPU number that a set of this size cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CpuOutOfRange {
    /// The CPU that was to be added.
    pub cpu: CpuId,
    /// How many CPUs the set can name.
    pub capacity: usize,
}

impl CpuOutOfRange {
    fn new<const WORDS: usize>(cpu: CpuId) -> Self {
        Self {
            cpu,
            capacity: CpuSet::<WORDS>::CAPACITY,
        }
    }
}

impl core::fmt::Display for CpuOutOfRange {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "CPU {} does not fit a set of {} CPUs; use a larger WORDS",
            self.cpu, self.capacity
        )
    }
}

impl core::error::Error for CpuOutOfRange {}

fn place(cpu: CpuId) -> (usize, u64) {
    (cpu.index() / 64, 1 << (cpu.index() % 64))
}

fn member(word: usize, bit: usize) -> CpuId {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a set has at most 64 words of 64 bits, so at most 4,096 CPUs"
    )]
    CpuId::new((word * 64 + bit) as u32)
}

fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros() as usize;
            word &= word - 1;
            bit
        })
    })
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn intersection_forgets_empty_words() {
        let (mut a, mut b) = (CpuSet::<16>::new(), CpuSet::<16>::new());
        for number in [0, 70, 1023] {
            a.insert(CpuId::new(number)).unwrap();
        }
        b.insert(CpuId::new(70)).unwrap();
        a.intersect_with(&b);
        assert_eq!(a, b);
        a.remove(CpuId::new(70));
        assert!(a.is_empty());
    }

    #[test]
    fn a_cpu_that_does_not_fit_is_an_error_with_the_capacity() {
        let error = CpuSet::<1>::new().insert(CpuId::new(64)).unwrap_err();
        assert_eq!(
            error,
            CpuOutOfRange {
                cpu: CpuId::new(64),
                capacity: 64
            }
        );
    }
}
