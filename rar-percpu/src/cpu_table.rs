//! Where each CPU's memory lies: references that are filled in while others read.
#![expect(
    unsafe_code,
    reason = "a reference that is set at run time is a pointer"
)]

use core::ptr::{from_ref, null_mut};

use crate::cpu_id::CpuId;
use crate::cpu_set::{CpuSet, bits};
use crate::per_cpu::PerCpu;
use crate::sync::{AtomicPtr, CPUS_PER_WORD, Ordering, const_unless_loom, shared_array};

/// Eight members in a row, as bits of a word.
const OCTET: u64 = 0xff;

/// The memory of each CPU, by number.
#[derive(Debug)]
pub(crate) struct CpuTable<const WORDS: usize> {
    cpus: [[AtomicPtr<PerCpu>; CPUS_PER_WORD]; WORDS],
}

impl<const WORDS: usize> CpuTable<WORDS> {
    const_unless_loom! {
        /// Returns a table without CPUs.
        pub(crate) fn new() -> Self {
            Self {
                cpus: shared_array!(
                    shared_array!(AtomicPtr::new(null_mut()); CPUS_PER_WORD); WORDS
                ),
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, cpu: CpuId) -> Option<&'static PerCpu> {
        memory_at(self.place(cpu)?)
    }

    /// Returns whether the memory of every CPU in the set passes; asks no CPU after the first that
    /// does not. A CPU without memory passes.
    #[inline(always)]
    pub(crate) fn all(
        &self,
        cpus: &CpuSet<WORDS>,
        pass: impl FnMut(&'static PerCpu) -> bool,
    ) -> bool {
        let mut pass = pass;
        for (index, word) in cpus.members_by_word() {
            if self.left_in_word(index, word, &mut pass) != 0 {
                return false;
            }
        }
        true
    }

    /// Removes from the set each CPU that passes, up to the first that does not; returns whether
    /// none is left.
    #[inline(always)]
    pub(crate) fn drain(
        &self,
        cpus: &mut CpuSet<WORDS>,
        pass: impl FnMut(&'static PerCpu) -> bool,
    ) -> bool {
        let mut pass = pass;
        for index in bits(cpus.occupied()) {
            let left = self.left_in_word(index, cpus.word(index), &mut pass);
            if left != 0 {
                cpus.reduce(index, left);
                return false;
            }
            cpus.reduce(index, 0);
        }
        true
    }

    /// Asks the members of one word until one does not pass; returns what is left of the word from
    /// that one on, 0 if all pass.
    // Always: it has a part of the flush on either side.
    #[inline(always)]
    fn left_in_word(
        &self,
        index: usize,
        word: u64,
        mut pass: impl FnMut(&'static PerCpu) -> bool,
    ) -> u64 {
        let row = self
            .cpus
            .get(index % WORDS)
            .map_or(&[][..], |row| row.as_slice());
        // One member alone needs no loop.
        if word & word.wrapping_sub(1) == 0 {
            let only = row.get(word.trailing_zeros() as usize);
            return match only.and_then(memory_at).is_none_or(pass) {
                true => 0,
                false => word,
            };
        }
        let mut left = word;
        while left != 0 {
            let first = left.trailing_zeros() as usize;
            let places = row.get(first..).unwrap_or_default();
            // Of eight in a row only the first is searched for.
            match places.first_chunk::<8>() {
                Some(octet) if left >> first & OCTET == OCTET => {
                    for (passed, place) in octet.iter().enumerate() {
                        if !memory_at(place).is_none_or(&mut pass) {
                            return left & u64::MAX << (first + passed);
                        }
                    }
                    left &= !(OCTET << first);
                }
                _ => {
                    if !places.first().and_then(memory_at).is_none_or(&mut pass) {
                        return left;
                    }
                    left &= left - 1;
                }
            }
        }
        0
    }

    /// Sets a CPU's memory, unless it has some.
    pub(crate) fn set(&self, cpu: CpuId, memory: &'static PerCpu) -> bool {
        let pointer = from_ref(memory).cast_mut();
        self.place(cpu).is_some_and(|place| {
            place
                .compare_exchange(null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        })
    }

    /// Forgets a CPU's memory.
    pub(crate) fn clear(&self, cpu: CpuId) {
        if let Some(place) = self.place(cpu) {
            place.store(null_mut(), Ordering::Release);
        }
    }

    #[inline]
    fn place(&self, cpu: CpuId) -> Option<&AtomicPtr<PerCpu>> {
        self.cpus.get(cpu.index() / 64)?.get(cpu.index() % 64)
    }
}

#[inline]
fn memory_at(place: &AtomicPtr<PerCpu>) -> Option<&'static PerCpu> {
    // Acquire: what the memory held when it was set. Partner: `set`.
    let pointer = place.load(Ordering::Acquire);
    // SAFETY: 1. the pointer is null or was a `&'static PerCpu` in `set`, so it is aligned and
    // points to a `PerCpu` that lives forever; 2. a `PerCpu` is made of atomics, so all access is
    // shared.
    unsafe { pointer.as_ref() }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    extern crate std;
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    /// Returns a table in which every CPU below the limit has memory, except one, and where the
    /// memory lies.
    fn table(without: usize) -> (CpuTable<2>, Vec<*const PerCpu>) {
        let table = CpuTable::new();
        let memory: &'static [PerCpu] = Box::leak((0..128).map(|_| PerCpu::new()).collect());
        for (number, state) in (0..).zip(memory) {
            if number as usize != without {
                assert!(table.set(CpuId::new(number), state));
            }
        }
        (table, memory.iter().map(from_ref).collect())
    }

    fn asked(table: &CpuTable<2>, cpus: &CpuSet<2>, most: usize) -> Vec<*const PerCpu> {
        let mut asked = Vec::new();
        let all = table.all(cpus, |state| {
            asked.push(from_ref(state));
            asked.len() < most
        });
        assert_eq!(all, asked.len() < most);
        asked
    }

    #[test]
    fn each_member_with_memory_is_asked_once_in_order() {
        const WITHOUT: usize = 40;
        let (table, memory) = table(WITHOUT);
        let words = [
            0,
            1,
            1 << 63,
            0xff,
            0xff << 56,
            0x7f,
            0xff << 3,
            0x1_fe01,
            !(1 << 17),
            u64::MAX,
            0x5555_5555_5555_5555,
        ];
        for (first, second) in words.into_iter().flat_map(|a| words.map(|b| (a, b))) {
            let set = CpuSet::from_words([first, second]);
            let expected: Vec<_> = set
                .iter()
                .map(CpuId::index)
                .filter(|index| *index != WITHOUT)
                .map(|index| memory[index])
                .collect();
            assert_eq!(asked(&table, &set, usize::MAX), expected, "{set:?}");
            for most in [1, 8, 9, 64]
                .into_iter()
                .filter(|most| *most <= expected.len())
            {
                assert_eq!(asked(&table, &set, most), expected[..most], "{set:?}");
            }
        }
    }
    /// What comes before the first that does not pass is out; the rest of the set stays as it was.
    #[test]
    fn a_drained_set_keeps_its_members_from_the_first_that_does_not_pass_on() {
        let (table, memory) = table(usize::MAX);
        for word in [1, 0xff, 0xff << 3, 0x1_fe01, 0x5555, u64::MAX] {
            let set = CpuSet::<2>::from_words([0, word]);
            for keeper in set.iter() {
                let mut drained = set;
                let passes = |state: &'static PerCpu| from_ref(state) != memory[keeper.index()];
                assert!(!table.drain(&mut drained, passes));
                let left = set.iter().filter(|cpu| *cpu >= keeper);
                assert!(drained.iter().eq(left), "{set:?} from {keeper}");
            }
            let mut drained = set;
            assert!(table.drain(&mut drained, |_| true));
            assert!(drained.is_empty());
        }
    }
}
