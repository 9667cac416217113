//! How a flush gets slots, and waits where none is free.

use rar_percpu::{Claimed, CpuSet, HomeSlot, JoinEpoch, PinnedCpu, Responder, Skippable};

use crate::machine::Machine;
use crate::pending::CLEAN_LOOKS;
use crate::shootdown::Shootdown;
use crate::timer::Timer;

/// How often a CPU that waits for a slot spins at its home slot before it looks at all slots: about
/// as long as a flush.
const HOME_ROUNDS: u32 = if cfg!(rar_loom) { 1 } else { 8 };

/// The targets of a flush as they were sorted.
pub(crate) struct Sorted<'t, const WORDS: usize> {
    pub(crate) since: JoinEpoch,
    pub(crate) skippable: Skippable,
    pub(crate) by_entry: &'t mut CpuSet<WORDS>,
    pub(crate) by_generation: &'t mut CpuSet<WORDS>,
}

impl<M: Machine<WORDS>, const WORDS: usize> Shootdown<M, WORDS> {
    /// Claims up to `count` slots that are free; `None` if none is.
    pub(crate) fn claim_at_once<'s, 'p>(
        &'s self,
        cpu: &PinnedCpu<'p>,
        count: usize,
    ) -> Option<Claimed<'s, 'p, WORDS>> {
        match self.domain().claim_near(cpu, count) {
            Some(fewer) if fewer.len() < count => {
                // All are given back for a look at every slot. Other CPUs may take them meanwhile.
                drop(fewer);
                self.domain().claim(cpu, count)
            }
            claimed => claimed,
        }
    }

    /// Waits for a slot, within bounds, unless this CPU's own flushes hold some. Then looks at the
    /// targets anew, and keeps those that are still to be flushed by an entry.
    ///
    /// A CPU that went offline meanwhile, or whose unit fell silent, would not answer the entry:
    /// the slot would be set apart until it does. The first needs no entry, the second is flushed
    /// by generation.
    #[cold]
    pub(crate) fn claim_later<'s, 'p>(
        &'s self,
        cpu: &PinnedCpu<'p>,
        count: usize,
        sorted: &mut Sorted<'_, WORDS>,
    ) -> Option<Claimed<'s, 'p, WORDS>> {
        let domain = self.domain();
        let claimed = self.wait_for_slot(cpu, count, sorted.by_entry);
        let mut leaving = *sorted.by_entry;
        domain.keep_online(sorted.by_entry);
        leaving.subtract(sorted.by_entry);
        leaving.retain(|cpu| !domain.needs_no_answer(cpu, sorted.since));
        sorted.by_generation.union_with(&leaving);
        let others = domain.sort_targets(sorted.by_entry, sorted.skippable);
        sorted.by_generation.union_with(&others);
        claimed.filter(|_| !sorted.by_entry.is_empty())
    }

    fn wait_for_slot<'s, 'p>(
        &'s self,
        cpu: &PinnedCpu<'p>,
        count: usize,
        targets: &CpuSet<WORDS>,
    ) -> Option<Claimed<'s, 'p, WORDS>> {
        let domain = self.domain();
        let by_microcode = |cpu| {
            domain
                .cpu(cpu)
                .is_some_and(|state| state.responder() == Responder::Microcode)
        };
        let limit = if targets.iter().any(by_microcode) {
            self.policy().slot_timeout.max(self.policy().answer_timeout)
        } else {
            self.policy().slot_timeout
        };
        let mut timer = Timer::default();
        let mut rounds = 0_u32;
        loop {
            rounds = rounds.wrapping_add(1);
            let holds_slots = domain.must_not_wait_for_slot(cpu);
            let home = if holds_slots {
                HomeSlot::Lost
            } else {
                self.spin_for_home_slot(cpu)
            };
            let claimed = match home {
                HomeSlot::Free => domain.claim_near(cpu, 1),
                HomeSlot::InFlight => None,
                _ => domain.claim(cpu, count),
            };
            // A CPU that holds slots does not wait, but looks a few times: its own may be answered.
            if claimed.is_some() || holds_slots && rounds >= HOME_ROUNDS {
                return claimed;
            }
            if holds_slots {
                self.idle(cpu);
                continue;
            }
            let is_late = timer.is_past(self.machine().now(), limit);
            if is_late || home == HomeSlot::Lost || rounds % HOME_ROUNDS == 0 {
                let claimed = domain.claim(cpu, 1);
                if claimed.is_some() || is_late || self.are_all_quarantined() {
                    return claimed;
                }
            }
            self.idle(cpu);
        }
    }

    /// Looks at this CPU's home slot only, until it is not in flight or has been looked at for a
    /// microsecond or two: a look at all slots moves the lines of every CPU that flushes.
    fn spin_for_home_slot(&self, cpu: &PinnedCpu<'_>) -> HomeSlot {
        let mut home = self.domain().home_slot(cpu);
        for _ in 0..CLEAN_LOOKS {
            if home != HomeSlot::InFlight {
                break;
            }
            self.machine().relax();
            home = self.domain().home_slot(cpu);
        }
        home
    }

    fn are_all_quarantined(&self) -> bool {
        let (_, quarantined) = self.domain().free_and_quarantined_slots();
        quarantined == self.domain().entries()
    }
}
