//! Where each CPU's memory lies: references that are filled in while others read.
#![expect(
    unsafe_code,
    reason = "a reference that is set at run time is a pointer"
)]

use core::ptr::{from_ref, null_mut};

use crate::cpu_id::CpuId;
use crate::cpu_set::{CpuSet, runs};
use crate::per_cpu::PerCpu;
use crate::sync::{AtomicPtr, CPUS_PER_WORD, Ordering, const_unless_loom, shared_array};

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

    /// Returns whether the memory of every CPU in the set passes; asks nobody after the first that does not. A CPU without
    /// memory passes.
    #[inline]
    pub(crate) fn all(
        &self,
        cpus: &CpuSet<WORDS>,
        mut pass: impl FnMut(&'static PerCpu) -> bool,
    ) -> bool {
        cpus.members_by_word().all(|(index, word)| {
            let row = self.cpus.get(index).map_or(&[][..], |row| row.as_slice());
            runs(word).all(|run| {
                let places = row.get(run.start..run.end.min(row.len()));
                let mut states = places.unwrap_or_default().iter().filter_map(memory_at);
                states.all(&mut pass)
            })
        })
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
    // SAFETY: 1. the pointer is null or was a `&'static PerCpu` in `set`, so it is aligned and points to a `PerCpu` that lives
    // for ever; 2. a `PerCpu` is made of atomics, so shared access is all anybody has.
    unsafe { pointer.as_ref() }
}
