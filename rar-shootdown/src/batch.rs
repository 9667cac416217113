//! What goes out under one signal: at most a few operations, each with its slot.

use rar_payload::{Operation, Request};
use rar_percpu::SlotIndex;

use crate::policy::Policy;

/// The operations of one flush, and the slots they were written to.
#[derive(Debug)]
pub(crate) struct Batch {
    entries: [Option<(Operation, Option<SlotIndex>)>; Policy::MAX_OPERATIONS],
}

impl Batch {
    /// Returns the precise operations of all requests, or `None` if there are more than `limit`.
    pub(crate) fn precise(requests: &[Request], limit: usize) -> Option<Self> {
        let lengths = requests.iter().map(|request| request.operations().len());
        let total = lengths.fold(0, usize::saturating_add);
        if total > limit.min(Policy::MAX_OPERATIONS) {
            return None;
        }
        let mut operations = requests.iter().flat_map(Request::operations);
        let entries =
            core::array::from_fn(|_| operations.next().map(|operation| (operation, None)));
        Some(Self { entries })
    }

    /// Returns the one operation that covers all requests.
    pub(crate) fn covering(requests: &[Request]) -> Self {
        let mut entries = [None; Policy::MAX_OPERATIONS];
        let covering = Request::collapse(requests, 1).operations;
        for (entry, operation) in entries.iter_mut().zip(&covering) {
            *entry = Some((*operation, None));
        }
        Self { entries }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.operations().next().is_none()
    }

    pub(crate) fn has_slots(&self) -> bool {
        self.slots().next().is_some()
    }

    pub(crate) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.entries
            .iter()
            .flatten()
            .map(|(operation, _)| operation)
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotIndex> + '_ {
        self.entries.iter().flatten().filter_map(|(_, slot)| *slot)
    }

    /// Gives every operation a slot from `claim`; on the first refusal returns `false` and keeps those it got.
    pub(crate) fn assign(&mut self, mut claim: impl FnMut() -> Option<SlotIndex>) -> bool {
        self.entries.iter_mut().flatten().all(|(_, slot)| {
            *slot = claim();
            slot.is_some()
        })
    }

    /// Takes all slots away.
    pub(crate) fn take_slots(&mut self) -> impl Iterator<Item = SlotIndex> + '_ {
        self.entries
            .iter_mut()
            .flatten()
            .filter_map(|(_, slot)| slot.take())
    }

    /// The operations with their slots, of those that have one.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&Operation, SlotIndex)> {
        self.entries
            .iter()
            .flatten()
            .filter_map(|(operation, slot)| slot.map(|slot| (operation, slot)))
    }
}
