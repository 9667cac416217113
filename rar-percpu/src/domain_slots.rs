//! The slots of a domain: who may claim which, and when they are given back.

use crate::cpu_id::{CpuId, PinnedCpu};
use crate::domain::Domain;
use crate::entries::Claimed;
use crate::slot_index::SlotIndex;
use crate::slots::{Bytes, Claim, HomeSlot};

impl<const WORDS: usize> Domain<WORDS> {
    /// Returns how many entries of the table are used: 64, or as many as the smallest limit that
    /// was set.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.slots().usable()
    }

    /// Uses at most that many entries of the table from now on; never more than before.
    ///
    /// [`RarCpu`](crate::RarCpu) calls it with what the hardware has.
    pub fn limit_entries(&self, entries: u8) {
        self.slots().limit(entries);
    }

    /// Returns how many entries of the table no flush uses, and how many are in quarantine.
    #[must_use]
    pub fn free_and_quarantined_slots(&self) -> (usize, usize) {
        (self.slots().free(), self.slots().quarantined())
    }

    /// Claims up to `count` slots for a flush by this CPU; `None` if it can have no slot at
    /// this moment.
    ///
    /// Slots that serve no flush any more are taken over: those of a flush that every CPU has
    /// answered, and those in quarantine whose late bytes have become final.
    #[must_use]
    pub fn claim<'d, 'p>(
        &'d self,
        cpu: &PinnedCpu<'p>,
        count: usize,
    ) -> Option<Claimed<'d, 'p, WORDS>> {
        if let Some(state) = self.cpu(cpu.id()) {
            // Before the claim, for a handler that comes right behind it.
            state.note_far_slots();
        }
        Claimed::new(self, cpu, count, |owner| {
            let free = self.slots().claim_anywhere(owner);
            free.or_else(|| self.take_over(owner))
        })
    }

    /// Claims up to `count` of the free slots that are near this CPU; `None` if none of them is
    /// free.
    ///
    /// Where CPUs wait for slots, this disturbs the others least: it reads few states, and no
    /// action vector.
    #[must_use]
    pub fn claim_near<'d, 'p>(
        &'d self,
        cpu: &PinnedCpu<'p>,
        count: usize,
    ) -> Option<Claimed<'d, 'p, WORDS>> {
        Claimed::new(self, cpu, count, |owner| self.slots().claim_near(owner))
    }

    /// Returns what the slot is that this CPU tries first: one read, for a spin.
    #[must_use]
    pub fn home_slot(&self, cpu: &PinnedCpu<'_>) -> HomeSlot {
        self.slots().home(cpu.id())
    }

    /// Returns whether flushes that were started on this CPU hold slots: then waiting for another
    /// could wait for itself.
    ///
    /// As [`holds_slots`](Self::holds_slots), which looks at every slot. This looks at those that
    /// are near, unless the CPU has claimed others.
    #[must_use]
    pub fn must_not_wait_for_slot(&self, cpu: &PinnedCpu<'_>) -> bool {
        let owner = cpu.id();
        if self.slots().are_near_held_by(owner) {
            return true;
        }
        let Some(state) = self.cpu(owner) else {
            return self.slots().are_held_by(owner);
        };
        if !state.begin_look_for_far_slots() {
            return false;
        }
        let holds_slots = self.slots().are_held_by(owner);
        if !holds_slots {
            state.forget_far_slots();
        }
        holds_slots
    }

    /// Returns whether flushes that were started on a CPU hold slots.
    #[must_use]
    pub fn holds_slots(&self, cpu: CpuId) -> bool {
        self.slots().are_held_by(cpu)
    }

    /// Gives slots back that serve no flush any more, and returns how many.
    ///
    /// A flush that finds no free slot does this by itself. Call it now and then, or when a late
    /// CPU has come back, to have the slots back sooner.
    pub fn reclaim_slots(&self) -> usize {
        let owner = CpuId::new(u32::MAX);
        // As many as there are: in a storm of flushes there is always one more that was just
        // answered.
        let taken = core::iter::from_fn(|| self.take_over(owner)).take(self.entries());
        let count = taken.map(|claim| self.slots().give_back(&claim)).count();
        // A refusal that was left in a free slot would keep it from being taken over one day.
        for claim in SlotIndex::all().filter_map(|slot| self.slots().claim_at(slot, owner)) {
            self.forget_failures(claim.slot());
            self.slots().give_back(&claim);
        }
        count
    }

    /// Forgets what CPUs refused in a slot. Only for its owner, with nothing armed in it.
    #[cold]
    pub(crate) fn forget_failures(&self, slot: SlotIndex) {
        for state in self.registered().iter().filter_map(|cpu| self.cpu(cpu)) {
            state.vector().forget_failure(slot);
        }
    }

    #[cold]
    fn take_over(&self, home: CpuId) -> Option<Claim> {
        let claim = self
            .slots()
            .take_over(home.index(), home, |slot| self.bytes(slot))?;
        self.forget_failures(claim.slot());
        Some(claim)
    }

    fn bytes(&self, slot: SlotIndex) -> Bytes {
        let mut all = Bytes::Succeeded;
        for state in self.registered().iter().filter_map(|cpu| self.cpu(cpu)) {
            let byte = state.vector().load(slot);
            if !byte.is_final() {
                return Bytes::Open;
            }
            if byte.0 != 0 {
                all = Bytes::Final;
            }
        }
        all
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    extern crate std;
    use std::boxed::Box;

    use super::*;
    use crate::per_cpu::PerCpu;
    use rar_regs::ApicId;

    /// A note that stayed would make each later flush read the state of every slot.
    #[test]
    fn a_cpu_looks_at_all_slots_only_while_it_may_hold_one_that_is_far() {
        let domain = Domain::<1>::new();
        let cpu = crate::fake::pinned(0);
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain.register(cpu.id(), ApicId::new(0), memory).unwrap();
        let state = domain.cpu(cpu.id()).unwrap();
        assert!(!state.begin_look_for_far_slots());
        drop(domain.claim(&cpu, 1));
        assert!(state.begin_look_for_far_slots());
        assert!(!domain.must_not_wait_for_slot(&cpu));
        assert!(!state.begin_look_for_far_slots(), "one look was enough");
    }
}
