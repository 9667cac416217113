//! Who owns which slot of the payload table.

use crate::cpu_id::CpuId;
use crate::slot_index::SlotIndex;
use crate::sync::{AtomicU64, MAX_SLOTS, Ordering, const_unless_loom, shared_array};

// Bits 0 to 5 hold the index of the slot, once it was claimed.
const KIND: u64 = 3 << 6;
const FREE: u64 = 0;
const CLAIMED: u64 = 1 << 6;
const POSTED: u64 = 2 << 6;
const QUARANTINED: u64 = 3 << 6;
const OWNER_SHIFT: u32 = 8;
const OWNER: u64 = 0xffff << OWNER_SHIFT;
/// The number of claims stands above the owner.
const ONE_CLAIM: u64 = 1 << 24;
const COUNT: u64 = !(ONE_CLAIM - 1);

/// Which slots a CPU tries before it waits, counted from its home: as many as one flush owns, and
/// some that are apart, which are free unless slots are scarce. Each look at a slot in use moves a
/// line of another CPU that flushes, so that a CPU looks at all of them only after it has waited.
const NEAR: [usize; 6] = [0, 1, 2, 3, 16, 40];

/// The owner states of all slots.
///
/// ```text
///         claim              post                 give_back (every byte is final)
///   Free ------> Claimed ----------> Posted ---------------------------------------> Free
///                   ^                 |  |
///                   |      quarantine |  | take_over (every byte is SUCCESS)
///                   |                 v  |
///                   +----- Quarantined   +--> Claimed, by another
///                     take_over (every byte is final)
/// ```
///
/// A slot in quarantine has a byte somewhere that is not final: a unit may still read its payload,
/// so no CPU may write it. A later answer of that CPU to something else proves nothing about this
/// slot, because the order in which a unit scans its vector is unknown.
///
/// A posted slot that every CPU has answered with SUCCESS serves no flush any more: a CPU that
/// finds no free slot takes it over. Its former owner notices by the number of claims, and knows
/// that its flush succeeded. So slots of flights that are kept in a queue, or were forgotten, are
/// not lost.
#[derive(Debug)]
pub(crate) struct Slots {
    states: [SlotState; MAX_SLOTS],
    /// The slots that are never claimed, those at the end of the table: bit `n` for slot `n`.
    unused: AtomicU64,
}

/// One owner state on its own cache line, apart from the payload: units of many CPUs read that one.
#[repr(align(64))]
#[derive(Debug)]
struct SlotState(AtomicU64);

/// The ownership of one slot: its state as the owner left it. Only one value of a slot is good at a
/// time.
#[derive(Debug, Default)]
pub(crate) struct Claim(u64);

impl Claim {
    #[inline]
    pub(crate) fn slot(&self) -> SlotIndex {
        SlotIndex::of_low_bits(self.0)
    }

    /// Marks that the owner has left the slot. The claim is good from now on only while the slot is
    /// in quarantine and no other CPU has taken it over.
    pub(crate) fn leave(&mut self) {
        self.0 |= QUARANTINED;
    }

    /// Returns whether the owner has left the slot.
    #[inline]
    pub(crate) fn is_left(&self) -> bool {
        self.0 & KIND == QUARANTINED
    }
}

impl Slots {
    const_unless_loom! {
        /// Returns free slots.
        pub(crate) fn new() -> Self {
            Self {
                states: shared_array!(SlotState(AtomicU64::new(FREE)); MAX_SLOTS),
                unused: AtomicU64::new(0),
            }
        }
    }

    /// Returns how many slots can be claimed at most.
    pub(crate) fn usable(&self) -> usize {
        let first_unused = self.unused.load(Ordering::Acquire).trailing_zeros();
        SlotIndex::COUNT.min(first_unused as usize)
    }

    /// Uses at most that many slots from now on; never more than before.
    pub(crate) fn limit(&self, entries: u8) {
        let unused = u64::MAX.checked_shl(entries.into()).unwrap_or(0);
        self.unused.fetch_or(unused, Ordering::AcqRel);
    }

    /// Claims the owner's home slot, or the one so far behind it, if that is free: where there are
    /// as many slots as CPUs, no other CPU wants the home first.
    #[inline(always)]
    fn claim_at_home(&self, owner: CpuId, behind: usize, unused: u64) -> Option<Claim> {
        let slot = SlotIndex::at((owner.index() + behind) % SlotIndex::COUNT)?;
        match unused >> slot.get() & 1 {
            0 => self.claim_at(slot, owner),
            _ => None,
        }
    }

    /// Claims a free slot that is near the owner.
    #[cold]
    pub(crate) fn claim_near(&self, owner: CpuId) -> Option<Claim> {
        self.near(owner).find_map(|slot| self.claim_at(slot, owner))
    }

    /// Claims a free slot, looking from the owner's home on, so that CPUs with different homes do
    /// not meet.
    pub(crate) fn claim_anywhere(&self, owner: CpuId) -> Option<Claim> {
        self.starting_at(owner.index())
            .find_map(|slot| self.claim_at(slot, owner))
    }

    /// Claims the owner's home slot and those behind it, `N` in all, or none.
    #[inline(always)]
    pub(crate) fn claim_several<const N: usize>(&self, owner: CpuId) -> Option<[Claim; N]> {
        let unused = self.unused.load(Ordering::Acquire);
        self.claim_each(|behind| self.claim_at_home(owner, behind, unused))
    }

    /// Claims `N` free slots that are near the owner, or none.
    pub(crate) fn claim_several_near<const N: usize>(&self, owner: CpuId) -> Option<[Claim; N]> {
        self.claim_each(|_| self.claim_near(owner))
    }

    /// Claims `N` slots, each by a call of `claim` with the number of those before it, or none.
    #[inline(always)]
    fn claim_each<const N: usize>(
        &self,
        claim: impl Fn(usize) -> Option<Claim>,
    ) -> Option<[Claim; N]> {
        let mut claims = [const { Claim(FREE) }; N];
        for (before, place) in claims.iter_mut().enumerate() {
            let Some(claim) = claim(before) else {
                for claim in claims.iter().take(before) {
                    self.give_back(claim);
                }
                return None;
            };
            *place = claim;
        }
        Some(claims)
    }

    /// Claims a slot that serves no flush any more: posted with every byte SUCCESS, or in
    /// quarantine with every byte final.
    pub(crate) fn take_over(
        &self,
        home: usize,
        owner: CpuId,
        bytes: impl Fn(SlotIndex) -> Bytes,
    ) -> Option<Claim> {
        self.starting_at(home).find_map(|slot| {
            self.try_claim(slot, owner, |kind| match kind {
                POSTED => bytes(slot) == Bytes::Succeeded,
                QUARANTINED => bytes(slot) != Bytes::Open,
                _ => false,
            })
        })
    }

    /// Claims this slot if it is free.
    #[inline]
    pub(crate) fn claim_at(&self, slot: SlotIndex, owner: CpuId) -> Option<Claim> {
        self.try_claim(slot, owner, |kind| kind == FREE)
    }

    /// Takes a posted slot back from CPUs that might take it over; `false` if one has.
    ///
    /// The slot is no CPU's from now on, for any CPU may settle a flight: the death of the one that
    /// started it does not [abandon](Self::abandon) the slot.
    pub(crate) fn unpost(&self, claim: &mut Claim) -> bool {
        // No CPU has this number.
        let word = claim.0 & !KIND | OWNER | CLAIMED;
        let mine = self
            .state(claim.slot())
            .compare_exchange(claim.0, word, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        if mine {
            claim.0 = word;
        }
        mine
    }

    #[inline]
    fn try_claim(
        &self,
        slot: SlotIndex,
        owner: CpuId,
        is_claimable: impl FnOnce(u64) -> bool,
    ) -> Option<Claim> {
        let state = self.state(slot);
        // Acquire: the arming of a posted slot is before the state. Partner: the Release in `post`.
        let found = state.load(Ordering::Acquire);
        if !is_claimable(found & KIND) {
            return None;
        }
        let owner = u64::from(owner.get()) << OWNER_SHIFT & OWNER;
        // Sums of parts that share no bit: one addition in the machine code.
        let mine = owner + slot.get() as u64 + CLAIMED + ONE_CLAIM;
        let word = (found & COUNT).wrapping_add(mine);
        // Acquire: the former owner saw every byte final before it let go. Partner: the Release in
        // `give_back`. The number of claims makes the exchange fail if the slot was given back,
        // claimed and posted anew since the look at its bytes.
        state
            .compare_exchange(found, word, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then_some(Claim(word))
    }

    /// The slot's entry is written and armed: from now on it may be taken over once it is answered.
    #[inline]
    pub(crate) fn post(&self, claim: &mut Claim) {
        claim.0 = claim.0 & !KIND | POSTED;
        // Release: every byte was armed. Partner: the Acquire in `try_claim`. No other CPU changes
        // a claimed slot.
        self.state(claim.slot()).store(claim.0, Ordering::Release);
    }

    /// Returns whether the slot was not taken over, which it is only after every byte was SUCCESS.
    pub(crate) fn is_owned(&self, claim: &Claim) -> bool {
        // Acquire: the bytes that the new owner saw. Partner: its exchange in `try_claim`.
        self.state(claim.slot()).load(Ordering::Acquire) == claim.0
    }

    /// Gives back a slot whose bytes are all final.
    #[inline]
    pub(crate) fn give_back(&self, claim: &Claim) {
        self.leave(claim, FREE);
    }

    /// Sets a slot apart that some unit may still read. After [`Claim::leave`] the claim stays good
    /// until another owner takes the slot over.
    pub(crate) fn quarantine(&self, claim: &Claim) {
        self.leave(claim, QUARANTINED);
    }

    #[inline]
    fn leave(&self, claim: &Claim, kind: u64) {
        // Release: every byte was seen final, or the payload stays. Partner: the Acquire in
        // `try_claim`. An exchange, since another CPU may have taken the slot over.
        let _taken_over = self.state(claim.slot()).compare_exchange(
            claim.0,
            claim.0 & !KIND | kind,
            Ordering::Release,
            Ordering::Relaxed,
        );
    }

    /// Returns what the slot is that the owner tries first.
    pub(crate) fn home(&self, owner: CpuId) -> HomeSlot {
        let home = self.near(owner).next();
        match home.map(|slot| self.state(slot).load(Ordering::Relaxed) & KIND) {
            Some(FREE) => HomeSlot::Free,
            Some(CLAIMED | POSTED) => HomeSlot::InFlight,
            _ => HomeSlot::Lost,
        }
    }

    /// Returns whether flights of a CPU hold slots.
    pub(crate) fn are_held_by(&self, owner: CpuId) -> bool {
        SlotIndex::first(self.usable()).any(|slot| self.is_held(slot, owner))
    }

    /// Returns whether flights of a CPU hold slots that are near it.
    pub(crate) fn are_near_held_by(&self, owner: CpuId) -> bool {
        self.near(owner).any(|slot| self.is_held(slot, owner))
    }

    fn is_held(&self, slot: SlotIndex, owner: CpuId) -> bool {
        let owner = u64::from(owner.get()) << OWNER_SHIFT & OWNER;
        let word = self.state(slot).load(Ordering::Relaxed);
        word & OWNER == owner && matches!(word & KIND, CLAIMED | POSTED)
    }

    /// Sets apart what a dead CPU had claimed and not posted yet: it will not, and what was claimed
    /// on a CPU leaves it only when it is posted.
    pub(crate) fn abandon(&self, owner: CpuId) {
        let owner = u64::from(owner.get()) << OWNER_SHIFT & OWNER;
        for slot in SlotIndex::all() {
            let word = self.state(slot).load(Ordering::Acquire);
            if word & OWNER == owner && word & KIND == CLAIMED {
                self.quarantine(&Claim(word));
            }
        }
    }

    /// Returns how many slots are in quarantine.
    pub(crate) fn quarantined(&self) -> usize {
        self.count(QUARANTINED)
    }

    /// Returns how many slots are free.
    pub(crate) fn free(&self) -> usize {
        self.count(FREE)
    }

    fn count(&self, kind: u64) -> usize {
        SlotIndex::first(self.usable())
            .filter(|slot| self.state(*slot).load(Ordering::Relaxed) & KIND == kind)
            .count()
    }

    fn near(&self, owner: CpuId) -> impl Iterator<Item = SlotIndex> + use<> {
        let usable = self.usable();
        let places = NEAR.into_iter().take(usable);
        places.filter_map(move |apart| SlotIndex::at((owner.index() + apart).checked_rem(usable)?))
    }

    fn starting_at(&self, home: usize) -> impl Iterator<Item = SlotIndex> + use<> {
        let usable = self.usable();
        let start = home.checked_rem(usable).unwrap_or(0);
        SlotIndex::first(usable)
            .skip(start)
            .chain(SlotIndex::first(start))
    }

    #[inline]
    fn state(&self, slot: SlotIndex) -> &AtomicU64 {
        #[expect(
            clippy::indexing_slicing,
            reason = "a SlotIndex is below MAX_SLOTS by construction"
        )]
        &self.states[slot.get()].0
    }
}

/// The slot that a CPU tries first, as a CPU that waits for one sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HomeSlot {
    /// It is free at this moment.
    Free,
    /// A flush uses it, and gives it back at its end.
    InFlight,
    /// It is in quarantine, or the table has no slots: waiting for it may be in vain.
    Lost,
}

/// What the bytes of a slot say, those of all CPUs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// Each is SUCCESS.
    Succeeded,
    /// Each is final, and not all are SUCCESS.
    Final,
    /// One is not final.
    Open,
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests;
