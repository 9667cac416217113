//! What a CPU does for those who flush it.

use rar_percpu::{Asked, NmiCpu, OwnCounters, PinnedCpu, Served};

use crate::event::Event;
use crate::machine::Machine;
use crate::shootdown::Shootdown;
use crate::statistics::Count;

impl<M: Machine<WORDS>, const WORDS: usize> Shootdown<M, WORDS> {
    /// Carries out in software what others asked of this CPU.
    ///
    /// The handlers of the software signal and of the fallback interrupt call it; so may any code
    /// that spins for long with interrupts disabled. With RAR it serves the flush generation only.
    pub fn serve(&self, cpu: &PinnedCpu<'_>) -> Served {
        match self.domain().asked(cpu) {
            Some(asked) => self.serve_what_is_asked(cpu, asked),
            None => Served::default(),
        }
    }

    #[inline(never)]
    fn serve_what_is_asked(&self, cpu: &PinnedCpu<'_>, asked: Asked<'_, '_, '_, WORDS>) -> Served {
        let served = asked.answer(self.machine().tlb());
        if self.is_to_be_counted(served) {
            self.count_served(self.domain().own_counters(cpu), served);
            if served.promoted {
                self.report(Event::Promotion { cpu: cpu.id() });
            }
        }
        served
    }

    /// Carries out in software what others asked of this CPU, in its handler of NMIs.
    ///
    /// It may cut into any step of the library on this CPU. It reports no event, since
    /// [`Machine::report`] may have been cut.
    pub fn serve_in_nmi(&self, cpu: &NmiCpu<'_>) -> Served {
        let served = self.domain().answer_in_nmi(cpu, self.machine().tlb());
        if self.is_to_be_counted(served) {
            self.count_served(self.domain().own_counters_in_nmi(cpu), served);
        }
        served
    }

    #[inline]
    fn is_to_be_counted(&self, served: Served) -> bool {
        let has_served = served.succeeded > 0 || served.failed > 0 || served.generation;
        served.promoted || has_served && self.counts_flushes()
    }

    #[cold]
    fn count_served(&self, own: OwnCounters<'_>, served: Served) {
        if served.promoted {
            own.add_exactly(Count::Promotions.counter(), 1);
        }
        if self.counts_flushes() {
            own.add(Count::Served.counter(), served.succeeded.into());
            own.add(Count::Refused.counter(), served.failed.into());
            own.add(Count::ServedFull.counter(), served.generation.into());
        }
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;
    use crate::fake::FakeMachine;
    use crate::{Counting, Policy};

    #[test]
    fn a_promotion_is_counted_and_what_was_served_where_the_policy_says_so() {
        for counting in [Counting::Rare, Counting::Flushes, Counting::Waits] {
            let mut policy = Policy::new();
            policy.counting = counting;
            let shootdown = Shootdown::<_, 1>::new(FakeMachine::<1>::new(), policy);
            let is_counted = |change: fn(&mut Served)| {
                let mut served = Served::default();
                change(&mut served);
                shootdown.is_to_be_counted(served)
            };
            assert!(!is_counted(|_| {}));
            assert!(is_counted(|served| served.promoted = true));
            let changes: [fn(&mut Served); 3] = [
                |served| served.succeeded = 1,
                |served| served.failed = 1,
                |served| served.generation = true,
            ];
            for change in changes {
                assert_eq!(is_counted(change), counting != Counting::Rare);
            }
        }
    }
}
