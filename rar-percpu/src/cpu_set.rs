//! A set of CPUs by value.

use crate::cpu_id::CpuId;
use crate::cpu_out_of_range::CpuOutOfRange;

/// How many words a set has unless told otherwise: 16 words, 1,024 CPUs.
pub const DEFAULT_WORDS: usize = 16;

/// A set of CPUs numbered 0 to `64 * WORDS - 1`, by value.
///
/// A summary tells which words hold a member, so that walking a small set among 1,024 CPUs touches
/// few words. `WORDS` is 1 to 64, checked when compiled.
#[derive(Clone, Copy, Debug, Eq)]
#[doc(alias = "cpumask")]
pub struct CpuSet<const WORDS: usize = DEFAULT_WORDS> {
    /// The words that have a member; 0 where there is one word only, which needs none.
    summary: u64,
    words: [u64; WORDS],
}

/// By words: the derived way calls `memcmp`, which a kernel may have byte by byte.
impl<const WORDS: usize> PartialEq for CpuSet<WORDS> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let mut mine = self.members_by_word();
        // A word that no summary names has no member.
        self.summary == other.summary && mine.all(|(index, word)| word == other.word(index))
    }
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

    /// Returns the set with these members: bit `b` of word `w` is CPU `64 * w + b`.
    #[must_use]
    pub const fn from_words(words: [u64; WORDS]) -> Self {
        let _checked = Self::CAPACITY;
        let mut summary = 0;
        let mut index = 0;
        let mut rest: &[u64] = &words;
        while let [word, after @ ..] = rest {
            summary = Self::after_gain(summary, index, *word);
            index += 1;
            rest = after;
        }
        Self { summary, words }
    }

    /// Returns the members as words: bit `b` of word `w` is CPU `64 * w + b`.
    #[must_use]
    pub const fn words(&self) -> &[u64; WORDS] {
        &self.words
    }

    /// Returns the set of these CPUs.
    ///
    /// # Errors
    ///
    /// [`CpuOutOfRange`] for the first CPU that does not fit.
    pub fn of(cpus: impl IntoIterator<Item = CpuId>) -> Result<Self, CpuOutOfRange> {
        let mut set = Self::new();
        for cpu in cpus {
            set.insert(cpu)?;
        }
        Ok(set)
    }

    /// Adds a CPU.
    ///
    /// # Errors
    ///
    /// [`CpuOutOfRange`] at or above [`CpuSet::CAPACITY`]: to leave such a CPU out would mean not
    /// to flush it.
    pub fn insert(&mut self, cpu: CpuId) -> Result<(), CpuOutOfRange> {
        let (index, bit) = place(cpu);
        let word = self
            .words
            .get_mut(index)
            .ok_or(CpuOutOfRange::new::<WORDS>(cpu))?;
        *word |= bit;
        self.summary = Self::after_gain(self.summary, index, bit);
        Ok(())
    }

    /// Removes a CPU and returns whether it was a member.
    #[inline]
    pub fn remove(&mut self, cpu: CpuId) -> bool {
        let was = self.remove_before_keep(cpu);
        let (index, _) = place(cpu);
        if was && self.word(index) == 0 {
            self.summary = Self::after_loss(self.summary, index, 0);
        }
        was
    }

    /// As [`remove`](Self::remove), but leaves it to [`keep`](Self::keep), which has to follow, to
    /// find out whether the word has a member left.
    #[inline]
    pub(crate) fn remove_before_keep(&mut self, cpu: CpuId) -> bool {
        let (index, bit) = place(cpu);
        let Some(word) = self.words.get_mut(index) else {
            return false;
        };
        let was = *word & bit != 0;
        *word &= !bit;
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
        if WORDS == 1 {
            matches!(self.words.as_slice(), [0])
        } else {
            self.summary == 0
        }
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
        self.keep(|index| other.word(index));
    }

    /// Adds the members of `other`.
    pub fn union_with(&mut self, other: &Self) {
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
        self.summary |= other.summary;
    }

    /// Removes the members of `other`.
    #[doc(alias = "difference")]
    pub fn subtract(&mut self, other: &Self) {
        self.keep(|index| !other.word(index));
    }

    /// Removes every member.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Keeps only the members that `keep` accepts, asked in ascending order.
    #[inline]
    pub fn retain(&mut self, mut keep: impl FnMut(CpuId) -> bool) {
        for index in bits(self.occupied()) {
            let Some(word) = self.words.get_mut(index) else {
                return;
            };
            let before = *word;
            for bit in bits(before) {
                *word ^= u64::from(!keep(member(index, bit))) << bit;
            }
            self.summary = Self::after_loss(self.summary, index, *word);
        }
    }

    /// Returns the member with the lowest number.
    #[must_use]
    pub fn first(&self) -> Option<CpuId> {
        self.iter().next()
    }

    /// Returns the members in ascending order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        Members {
            words: &self.words,
            summary: self.occupied(),
            index: 0,
            word: 0,
        }
    }

    /// Returns the words that have a member, with their indexes.
    #[inline]
    pub(crate) fn members_by_word(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        bits(self.occupied()).map(|index| (index, self.word(index)))
    }

    /// Returns the words that may have a member. Where there is one word only it is that one: no
    /// loop is left then.
    #[inline]
    pub(crate) fn occupied(&self) -> u64 {
        if WORDS == 1 { 1 } else { self.summary }
    }

    /// Returns the summary after a word has gained these members.
    #[inline]
    const fn after_gain(summary: u64, index: usize, word: u64) -> u64 {
        match WORDS {
            1 => 0,
            _ => summary | ((word != 0) as u64) << index,
        }
    }

    /// Returns the summary after a word has lost members and holds these.
    #[inline]
    const fn after_loss(summary: u64, index: usize, word: u64) -> u64 {
        match WORDS {
            1 => 0,
            _ => summary & !(((word == 0) as u64) << index),
        }
    }

    /// Sets a word that has a member to what is left of it.
    #[inline(always)]
    pub(crate) fn reduce(&mut self, index: usize, left: u64) {
        if let Some(word) = self.words.get_mut(index % WORDS) {
            *word = left;
        }
        if WORDS > 1 && left == 0 {
            self.summary &= !(1 << index);
        }
    }

    /// Adds to each word of these indexes what is in the word for its index.
    #[inline]
    pub(crate) fn gain(&mut self, indexes: u64, word: impl Fn(usize) -> u64) {
        let mut summary = self.summary;
        for index in bits(indexes) {
            let word = word(index);
            if let Some(copy) = self.words.get_mut(index % WORDS) {
                *copy |= word;
            }
            summary = Self::after_gain(summary, index, word);
        }
        if WORDS > 1 {
            self.summary = summary;
        }
    }

    /// Keeps of each word what is in the mask for its index.
    #[inline]
    pub(crate) fn keep(&mut self, mask: impl Fn(usize) -> u64) {
        let mut summary = self.summary;
        for index in bits(self.occupied()) {
            if let Some(word) = self.words.get_mut(index % WORDS) {
                *word &= mask(index);
                summary = Self::after_loss(summary, index, *word);
            }
        }
        if WORDS > 1 {
            self.summary = summary;
        }
    }

    // The remainder changes nothing; it tells the compiler the bound.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words.get(index % WORDS).copied().unwrap_or_default()
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

/// The members of a set, in ascending order.
struct Members<'s> {
    words: &'s [u64],
    /// The words that are still to come.
    summary: u64,
    index: usize,
    /// What is left of the word of that index.
    word: u64,
}

impl Iterator for Members<'_> {
    type Item = CpuId;

    #[inline]
    fn next(&mut self) -> Option<CpuId> {
        while self.word == 0 {
            self.index = next_bit(&mut self.summary)?;
            self.word = *self.words.get(self.index)?;
        }
        next_bit(&mut self.word).map(|bit| member(self.index, bit))
    }

    /// By words: the inner loop has nothing but a word in its hands.
    #[inline]
    fn fold<B, F: FnMut(B, CpuId) -> B>(self, start: B, mut f: F) -> B {
        let mut value = bits(self.word).fold(start, |value, bit| f(value, member(self.index, bit)));
        for index in bits(self.summary) {
            let word = self.words.get(index).copied().unwrap_or_default();
            value = bits(word).fold(value, |value, bit| f(value, member(index, bit)));
        }
        value
    }
}

#[inline]
pub(crate) fn place(cpu: CpuId) -> (usize, u64) {
    (cpu.index() / 64, 1 << (cpu.index() % 64))
}

fn member(word: usize, bit: usize) -> CpuId {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a set has at most 64 words of 64 bits, so at most 4,096 CPUs"
    )]
    CpuId::new((word * 64 + bit) as u32)
}

#[inline]
pub(crate) fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || next_bit(&mut word))
}

/// Takes the lowest one out of the word.
#[inline]
fn next_bit(word: &mut u64) -> Option<usize> {
    (*word != 0).then(|| {
        let bit = word.trailing_zeros() as usize;
        *word &= *word - 1;
        bit
    })
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests;
