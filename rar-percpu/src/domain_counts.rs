//! What the CPUs of a domain have counted.

use crate::counters::{Counts, OwnCounters};
use crate::cpu_id::{CpuId, NmiCpu, PinnedCpu};
use crate::domain::Domain;

impl<const WORDS: usize> Domain<WORDS> {
    /// Returns the counts that code on this CPU may raise.
    ///
    /// They are in the CPU's [`PerCpu`](crate::PerCpu). A CPU that is not registered shares a block
    /// of the domain with the others that are not; there a count is raised by a locked instruction.
    #[must_use]
    #[inline]
    pub fn own_counters<'c>(&'c self, cpu: &'c PinnedCpu<'_>) -> OwnCounters<'c> {
        match self.cpu(cpu.id()) {
            Some(own) => OwnCounters::of_one(own.counters()),
            None => OwnCounters::of_several(self.counters_of_others()),
        }
    }

    /// As [`own_counters`](Self::own_counters), in the handler of NMIs.
    #[must_use]
    pub fn own_counters_in_nmi<'c>(&'c self, cpu: &'c NmiCpu<'_>) -> OwnCounters<'c> {
        self.own_counters(cpu.pinned())
    }

    /// Returns the counts of one CPU, or `None` if it is not registered.
    #[must_use]
    pub fn counts_of(&self, cpu: CpuId) -> Option<Counts> {
        self.cpu(cpu).map(|state| state.counters().read())
    }

    /// Returns the sums of the counts of all CPUs, those included that are no longer registered.
    ///
    /// While a CPU is unregistered or declared dead, its counts may be missing or count twice.
    #[must_use]
    pub fn counts_of_all(&self) -> Counts {
        let mut sums = self.counters_of_others().read();
        for counts in self
            .registered()
            .iter()
            .filter_map(|cpu| self.counts_of(cpu))
        {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.wrapping_add(count);
            }
        }
        sums
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use rar_regs::ApicId;

    use super::*;
    use crate::fake::pinned;
    use crate::{Counter, PerCpu};

    fn counter(index: u8) -> Counter {
        Counter::new(index).unwrap()
    }

    #[test]
    fn each_cpu_counts_for_itself_and_the_sum_keeps_those_that_are_gone() {
        let domain = Domain::<1>::new();
        let add = |cpu: u32, index, events| {
            domain
                .own_counters(&pinned(cpu))
                .add(counter(index), events);
        };
        let count = |cpu: u32, index: usize| domain.counts_of(CpuId::new(cpu)).map(|of| of[index]);
        // Before it is registered.
        add(1, 0, 100);
        assert_eq!(count(1, 0), None);
        for number in 0..2 {
            let memory = Box::leak(Box::new(PerCpu::new()));
            let (cpu, apic_id) = (CpuId::new(number), ApicId::new(number));
            domain.register(cpu, apic_id, memory).unwrap();
        }
        add(0, 0, 1);
        add(1, 0, 20);
        add(1, 47, 3);
        add(1, 47, 4);
        assert_eq!((count(0, 0), count(0, 47)), (Some(1), Some(0)));
        assert_eq!((count(1, 0), count(1, 47)), (Some(20), Some(7)));
        let sums = domain.counts_of_all();
        assert_eq!((sums[0], sums[1], sums[47]), (121, 0, 7));

        domain.unregister(CpuId::new(1)).unwrap();
        assert_eq!(count(1, 0), None);
        assert_eq!(domain.counts_of_all(), sums);
    }
}
