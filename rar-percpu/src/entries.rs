//! The entries of one flush: owned by one value from the claim of their slots to the last answer.

mod settle;

use core::marker::PhantomData;

use rar_payload::Operation;

use crate::action::{ActionByte, ActionState};
use crate::claims::{Claims, MAX};
use crate::cpu_id::{CpuId, PinnedCpu};
use crate::cpu_set::{CpuSet, DEFAULT_WORDS};
use crate::domain::Domain;
use crate::memory::EntryWords;
use crate::per_cpu::PerCpu;
use crate::slot_index::{SlotIndex, slots_of};
use crate::slots::Claim;

/// One or more slots of a domain's payload table that this value owns, and that hold no entry yet.
///
/// [`Domain::claim`] makes it. Dropped, it gives the slots back.
///
/// It stays on the CPU that it was claimed on, as the [`PinnedCpu`](crate::PinnedCpu) does: a CPU
/// that is declared dead posts nothing any more, and others get its slots.
#[derive(Debug)]
pub struct Claimed<'d, 'p, const WORDS: usize = DEFAULT_WORDS> {
    domain: &'d Domain<WORDS>,
    claims: Claims,
    pinned: PhantomData<PinnedCpu<'p>>,
}

/// Entries of the payload table, armed on some CPUs, that this value owns.
///
/// [`Claimed::post`] makes it. No other flush writes these entries, or arms these bytes, while one
/// of the bytes may not be final. Dropped, it gives the slots back whose every byte is final, and
/// sets the others apart.
#[must_use = "dropped before the end, its slots are in quarantine until every CPU has answered"]
#[derive(Debug)]
pub struct Posted<'d, const WORDS: usize = DEFAULT_WORDS> {
    domain: &'d Domain<WORDS>,
    claims: Claims,
    /// The CPUs that were armed and are not known to have answered every entry with SUCCESS.
    open: CpuSet<WORDS>,
}

/// What one CPU has answered to entries that were posted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer {
    /// It has carried out all of them.
    Success,
    /// It has refused one: it counts as not done.
    Failure(SlotIndex),
    /// One is not final; the byte is given as it was read.
    Open(SlotIndex, ActionByte),
}

/// How far entries have come, as a look that ends early has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// Every CPU has answered every entry with SUCCESS.
    Succeeded,
    /// A CPU has not answered.
    Open,
    /// A CPU has refused an entry, unless its slot was taken over.
    Refused,
}

/// Some slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlotSet(u64);

impl SlotSet {
    /// Returns whether the set has no slot.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the slots in ascending order.
    pub fn iter(self) -> impl Iterator<Item = SlotIndex> {
        slots_of(self.0)
    }
}

const FAILURE: ActionByte = ActionByte(ActionState::Failure as u8);

/// Returns whether a byte says that the entry was carried out.
#[inline]
fn is_success(byte: ActionByte) -> bool {
    byte == ActionByte(ActionState::Success as u8)
}

/// Returns whether a CPU has answered each of the entries with SUCCESS.
#[inline]
pub(crate) fn has_succeeded(state: &PerCpu, claims: &[Claim]) -> bool {
    claims
        .iter()
        .all(|claim| is_success(state.vector().load(claim.slot())))
}

/// Returns whether a CPU has refused one of the entries.
fn has_refused(state: &PerCpu, claims: &[Claim]) -> bool {
    claims
        .iter()
        .any(|claim| state.vector().load(claim.slot()) == FAILURE)
}

impl<const WORDS: usize> Domain<WORDS> {
    /// Writes an entry for each operation, arms each of the targets, and calls the slots posted, in
    /// this order.
    ///
    /// A CPU that the domain does not know is left out: it is offline, and flushes on its way up.
    // Always: only where the number of claims is known is there no loop over them for each target.
    #[inline(always)]
    pub(crate) fn write_and_arm<'o, T>(
        &self,
        claims: &mut [Claim],
        operations: &'o [T],
        targets: &CpuSet<WORDS>,
    ) where
        &'o T: Into<EntryWords>,
    {
        for (claim, operation) in claims.iter().zip(operations) {
            self.table().store(claim.slot(), operation);
        }
        self.cpus().all(targets, |state| {
            for claim in &*claims {
                state.vector().arm(claim.slot());
            }
            true
        });
        for claim in claims {
            self.slots().post(claim);
        }
    }
}

impl<'d, 'p, const WORDS: usize> Claimed<'d, 'p, WORDS> {
    /// The largest number of slots that one value owns.
    pub const MAX: usize = MAX;

    /// Owns up to `count` slots, each claimed by `claim`; `None` if that gives none.
    pub(crate) fn new(
        domain: &'d Domain<WORDS>,
        cpu: &PinnedCpu<'p>,
        count: usize,
        claim: impl Fn(CpuId) -> Option<Claim>,
    ) -> Option<Self> {
        let mut claims = Claims::default();
        for _ in 0..count.clamp(1, MAX) {
            let Some(claim) = claim(cpu.id()) else {
                break;
            };
            claims.push(claim);
        }
        (!claims.is_empty()).then_some(Self {
            domain,
            claims,
            pinned: PhantomData,
        })
    }

    /// Returns how many slots it owns, 1 to [`Claimed::MAX`].
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.claims.as_slice().len()
    }

    /// Writes an entry for each operation, then arms each of the targets; slots too many are given
    /// back.
    ///
    /// The caller signals the targets next. A CPU that the domain does not know is left out: it is
    /// offline, and flushes on its way up.
    ///
    /// # Errors
    ///
    /// Gives itself back, with nothing written, if there are more operations than slots.
    pub fn post(
        mut self,
        operations: &[Operation],
        targets: &CpuSet<WORDS>,
    ) -> Result<Posted<'d, WORDS>, Self> {
        let domain = self.domain;
        let claims = self.claims.as_mut_slice();
        let Some((posted, spare)) = claims.split_at_mut_checked(operations.len()) else {
            return Err(self);
        };
        for claim in spare {
            domain.slots().give_back(claim);
        }
        domain.write_and_arm(posted, operations, targets);
        let open = if posted.is_empty() {
            CpuSet::new()
        } else {
            *targets
        };
        // What is posted is no longer for `drop` to give back.
        let mut claims = core::mem::take(&mut self.claims);
        claims.truncate(operations.len());
        Ok(Posted {
            domain,
            claims,
            open,
        })
    }
}

impl<const WORDS: usize> Drop for Claimed<'_, '_, WORDS> {
    fn drop(&mut self) {
        for claim in self.claims.as_slice() {
            self.domain.slots().give_back(claim);
        }
    }
}

impl<'d, const WORDS: usize> Posted<'d, WORDS> {
    /// Returns the owner of entries that were armed on `open`; at most [`Claimed::MAX`] of them.
    #[inline]
    pub(crate) fn new<const N: usize>(
        domain: &'d Domain<WORDS>,
        posted: [Claim; N],
        open: CpuSet<WORDS>,
    ) -> Self {
        const { assert!(N <= MAX, "one flush owns four slots at most") };
        let mut claims = Claims::default();
        for claim in posted {
            claims.push(claim);
        }
        Self {
            domain,
            claims,
            open,
        }
    }

    /// Reads the bytes of the CPUs that had not answered, up to the first that still has not, and
    /// returns what that says.
    ///
    /// For a spin. Others arm the same vectors meanwhile, and each vector that is read then costs a
    /// transfer of its line: so this reads none again that has answered, and none that need not be
    /// read yet.
    #[inline]
    pub fn look_on(&mut self) -> Progress {
        match self.look_on_single() {
            Some(progress) => progress,
            None => self.look_on_several(),
        }
    }

    /// As [`look_on`](Self::look_on), if there is one entry, as most flushes have; else `None`. For
    /// each CPU there is no loop over slots then.
    // Always: a poll is little else, and calls nothing then.
    #[inline(always)]
    pub fn look_on_single(&mut self) -> Option<Progress> {
        let slot = self.claims.single()?.slot();
        let mut is_refused = false;
        let is_over = self.domain.cpus().drain(&mut self.open, |state| {
            let byte = state.vector().load(slot);
            if !is_success(byte) {
                is_refused = byte == FAILURE;
            }
            is_success(byte)
        });
        Some(self.progress(is_over, is_refused))
    }

    #[inline(never)]
    fn look_on_several(&mut self) -> Progress {
        let claims = self.claims.as_slice();
        let mut is_refused = false;
        let is_over = self.domain.cpus().drain(&mut self.open, |state| {
            let has_succeeded = has_succeeded(state, claims);
            if !has_succeeded {
                is_refused = has_refused(state, claims);
            }
            has_succeeded
        });
        self.progress(is_over, is_refused)
    }

    #[inline(always)]
    fn progress(&self, is_over: bool, is_refused: bool) -> Progress {
        match (is_over, is_refused) {
            (true, _) if !self.is_left() => Progress::Succeeded,
            (false, true) => Progress::Refused,
            _ => Progress::Open,
        }
    }

    /// Reads the bytes of all CPUs that had not answered, and returns whether every CPU has
    /// answered with SUCCESS.
    pub fn look(&mut self) -> bool {
        if self.is_left() {
            return false;
        }
        self.look_once();
        // A byte that another's flush has armed anew may have hidden the answer.
        while !self.open.is_empty() && self.forget_slots_taken_over() {
            self.look_once();
        }
        self.open.is_empty()
    }

    fn look_once(&mut self) {
        let (domain, claims) = (self.domain, self.claims.as_slice());
        self.open.retain(|cpu| {
            domain
                .cpu(cpu)
                .is_some_and(|state| !has_succeeded(state, claims))
        });
    }

    /// Returns the CPUs that were not seen to have answered every entry with SUCCESS when
    /// [`look`](Self::look) ran last.
    #[must_use]
    pub fn open(&self) -> &CpuSet<WORDS> {
        &self.open
    }

    /// Returns what a CPU has answered.
    #[must_use]
    pub fn answer(&self, cpu: CpuId) -> Answer {
        let Some(state) = self.domain.cpu(cpu).filter(|_| self.open.contains(cpu)) else {
            return Answer::Success;
        };
        let mut failed = None;
        for claim in self.claims.as_slice() {
            let byte = state.vector().load(claim.slot());
            match byte.state() {
                Ok(ActionState::Success) => {}
                // Read before the owner: a byte that another's flush has armed anew stands for no
                // answer to this one.
                _ if !self.domain.slots().is_owned(claim) => {}
                Ok(ActionState::Failure) => failed = failed.or(Some(claim.slot())),
                Ok(ActionState::Pending) | Err(_) => return Answer::Open(claim.slot(), byte),
            }
        }
        failed.map_or(Answer::Success, Answer::Failure)
    }

    /// A slot is taken over only after every CPU has answered with SUCCESS. Returns whether one
    /// was.
    fn forget_slots_taken_over(&mut self) -> bool {
        let slots = self.domain.slots();
        let are_owned = self
            .claims
            .as_slice()
            .iter()
            .all(|claim| slots.is_owned(claim));
        if !are_owned {
            self.claims.retain(|claim| slots.is_owned(claim));
            if self.claims.is_empty() {
                self.open.clear();
            }
        }
        !are_owned
    }
}

impl<const WORDS: usize> Drop for Posted<'_, WORDS> {
    #[inline]
    fn drop(&mut self) {
        if !self.claims.is_empty() {
            self.settle();
        }
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_slots_names_each_once_in_order() {
        for slots in [&[][..], &[0], &[63], &[0, 5, 6, 62, 63]] {
            let bits = slots.iter().fold(0, |bits, slot| bits | 1 << slot);
            assert!(
                SlotSet(bits)
                    .iter()
                    .map(SlotIndex::get)
                    .eq(slots.iter().copied())
            );
        }
        assert_eq!(SlotSet(u64::MAX).iter().count(), SlotIndex::COUNT);
    }
}
