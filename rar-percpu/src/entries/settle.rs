//! How the ownership of entries ends, and what stays in view of those that were not answered.

use rar_payload::Operation;

use super::{Posted, SlotSet};
use crate::slot_index::SlotIndex;
use crate::sync::{Ordering, fence};

impl<const WORDS: usize> Posted<'_, WORDS> {
    /// Ends the ownership: gives the slots back whose every byte is final, and sets the others
    /// apart. Returns those.
    ///
    /// What was not answered with SUCCESS stays in view, for a report about late CPUs:
    /// [`open`](Self::open), [`answer`](Self::answer) and [`operations`](Self::operations). Nothing
    /// may be concluded from such an answer: another flush may own the slot by now, and a refusal
    /// then looks like a success. So no later look says that every CPU has answered.
    #[inline]
    pub fn settle(&mut self) -> SlotSet {
        if !self.open.is_empty() {
            return self.settle_with_open();
        }
        let slots = self.domain.slots();
        // Most flushes have one slot: no loop is left then.
        match self.claims.single() {
            Some(claim) => slots.give_back(claim),
            None => self
                .claims
                .as_slice()
                .iter()
                .for_each(|claim| slots.give_back(claim)),
        }
        self.claims.clear();
        SlotSet::default()
    }

    #[cold]
    fn settle_with_open(&mut self) -> SlotSet {
        let domain = self.domain;
        let mut quarantined = SlotSet::default();
        for claim in self.claims.as_mut_slice() {
            if claim.is_left() {
                continue;
            }
            let slot = claim.slot();
            let mut armed = self.open.iter().filter_map(|cpu| domain.cpu(cpu));
            if armed.all(|state| state.vector().load(slot).is_final()) {
                // Who is still open has refused. The refusal must not outlive the entry, and is
                // forgotten while no CPU can take the slot over: another's refusal must not be
                // mistaken for it.
                if domain.slots().unpost(claim) {
                    domain.forget_failures(slot);
                }
                domain.slots().give_back(claim);
            } else if domain.slots().is_owned(claim) {
                domain.slots().quarantine(claim);
                quarantined.0 |= 1 << slot.get();
            }
            claim.leave();
        }
        quarantined
    }

    /// Returns whether the ownership has ended with entries that were not answered with SUCCESS:
    /// they are only in view any more.
    #[must_use]
    #[inline]
    pub fn is_left(&self) -> bool {
        self.claims.are_left()
    }

    /// Returns the slots that no other flush has got since, each with its operation as it is in the
    /// table.
    pub fn operations(&self) -> impl Iterator<Item = (SlotIndex, Operation)> + '_ {
        let domain = self.domain;
        self.claims.as_slice().iter().filter_map(move |claim| {
            let operation = Operation::decode(&domain.table().load_for_unit(claim.slot()));
            // Read before the owner: another would have written its own. The fence keeps the loads
            // of the entry before that of the owner; its partner is the exchange of the new owner's
            // claim, which is a full fence on x86.
            fence(Ordering::Acquire);
            let is_owned = domain.slots().is_owned(claim);
            Some((claim.slot(), operation.ok().filter(|_| is_owned)?))
        })
    }
}
