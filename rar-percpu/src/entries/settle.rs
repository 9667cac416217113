//! How the ownership of entries ends, and what stays in view of those that were not answered.

use rar_payload::Operation;

use super::{Posted, SlotSet};
use crate::slot_index::SlotIndex;
use crate::slots::Claim;

impl<const WORDS: usize> Posted<'_, WORDS> {
    /// Ends the ownership: gives the slots back whose every byte is final, and sets the others
    /// apart. Returns those.
    ///
    /// What is left of the value owns nothing.
    #[inline]
    pub fn settle(&mut self) -> SlotSet {
        if !self.open.is_empty() {
            return self.settle_with_open();
        }
        for claim in self.claims.as_slice() {
            self.domain.slots().give_back(claim);
        }
        self.claims.truncate(0);
        SlotSet::default()
    }

    #[cold]
    fn settle_with_open(&mut self) -> SlotSet {
        let quarantined = self.set_apart();
        self.claims.truncate(0);
        self.open.clear();
        quarantined
    }

    /// Settles as [`settle`](Self::settle) does, and keeps in view what was set apart:
    /// [`open`](Self::open), [`answer`](Self::answer) and [`operations`](Self::operations) go on
    /// showing it.
    ///
    /// For a report about late CPUs. Nothing may be concluded from such an answer: once all bytes
    /// of a slot are final, another owner may have it, and a refusal then looks like a success.
    pub fn set_apart(&mut self) -> SlotSet {
        let domain = self.domain;
        let mut quarantined = SlotSet::default();
        for claim in self.claims.as_mut_slice() {
            if claim.is_quarantined() {
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
        }
        self.claims.retain(Claim::is_quarantined);
        quarantined
    }

    /// Returns the slots that are still this value's, each with its operation as it is in the
    /// table.
    pub fn operations(&self) -> impl Iterator<Item = (SlotIndex, Operation)> + '_ {
        let domain = self.domain;
        self.claims.as_slice().iter().filter_map(move |claim| {
            let operation = Operation::decode(&domain.table().load_for_unit(claim.slot()));
            // Read before the owner: another would have written its own.
            let is_owned = domain.slots().is_owned(claim);
            Some((claim.slot(), operation.ok().filter(|_| is_owned)?))
        })
    }
}
