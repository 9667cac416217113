//! Who owns which slot of the payload table.

use rar_percpu::sync::{AtomicU8, MAX_SLOTS, Ordering};
use rar_percpu::{PerCpu, SlotIndex, const_unless_loom, shared_array};

const FREE: u8 = 0;
const CLAIMED: u8 = 1;
const QUARANTINED: u8 = 2;

/// The owner states of all slots.
///
/// ```text
///            claim                   release
///   Free ------------> Claimed ------------------> Free
///                        |  ^
///             quarantine |  | reclaim (every CPU's byte is final)
///                        v  |
///                     Quarantined
/// ```
///
/// A slot in quarantine has a byte somewhere that is not final: a unit may still read its payload, so nobody may write
/// it. That the late CPU answered something else since proves nothing, because the order in which a unit scans its vector is unknown.
#[derive(Debug)]
pub(crate) struct Slots {
    states: [SlotState; MAX_SLOTS],
    usable: usize,
}

/// One owner state on its own cache line, apart from the payload: units of many CPUs read that one.
#[repr(align(64))]
#[derive(Debug)]
struct SlotState(AtomicU8);

impl Slots {
    const_unless_loom! {
        /// Returns `usable` free slots; the others are never claimed.
        pub(crate) fn new(usable: usize) -> Self {
            Self { states: shared_array!(SlotState(AtomicU8::new(FREE))), usable }
        }
    }

    /// Claims a free slot, looking from `home` on, so that CPUs with different homes do not meet.
    pub(crate) fn claim(&self, home: usize) -> Option<SlotIndex> {
        self.starting_at(home).find(|slot| {
            let state = self.state(*slot);
            // Acquire: the former owner saw every byte final before it let go. Partner: the Release in `release`.
            state.load(Ordering::Relaxed) == FREE
                && state
                    .compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
        })
    }

    /// Claims a slot out of quarantine, if there is one whose bytes have all become final.
    pub(crate) fn reclaim(&self, home: usize, cpus: &[PerCpu]) -> Option<SlotIndex> {
        self.starting_at(home).find(|slot| {
            let state = self.state(*slot);
            // The look before the exchange keeps a slot that stays from being written to.
            let mine = state.load(Ordering::Relaxed) == QUARANTINED
                && is_settled(*slot, cpus)
                && state
                    .compare_exchange(QUARANTINED, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            if mine && !is_settled(*slot, cpus) {
                self.quarantine(*slot);
                return false;
            }
            mine
        })
    }

    /// Gives back a slot whose bytes are all final.
    pub(crate) fn release(&self, slot: SlotIndex) {
        // Release: every byte was seen final. Partner: the Acquire in `claim`.
        self.state(slot).store(FREE, Ordering::Release);
    }

    /// Sets a slot apart that some unit may still read.
    pub(crate) fn quarantine(&self, slot: SlotIndex) {
        self.state(slot).store(QUARANTINED, Ordering::Release);
    }

    /// Returns how many slots are in quarantine.
    pub(crate) fn quarantined(&self) -> usize {
        self.starting_at(0)
            .filter(|slot| self.state(*slot).load(Ordering::Relaxed) == QUARANTINED)
            .count()
    }

    /// Returns how many slots can be claimed at most.
    pub(crate) fn usable(&self) -> usize {
        self.usable
    }

    fn starting_at(&self, home: usize) -> impl Iterator<Item = SlotIndex> + use<> {
        let (usable, start) = (self.usable, home.checked_rem(self.usable).unwrap_or(0));
        SlotIndex::first(usable)
            .skip(start)
            .chain(SlotIndex::first(start))
    }

    fn state(&self, slot: SlotIndex) -> &AtomicU8 {
        #[expect(
            clippy::indexing_slicing,
            reason = "a SlotIndex is below MAX_SLOTS by construction"
        )]
        &self.states[slot.get()].0
    }
}

/// Whether no CPU has a byte of the slot that is not final.
fn is_settled(slot: SlotIndex, cpus: &[PerCpu]) -> bool {
    cpus.iter().all(|cpu| cpu.vector().load(slot).is_final())
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    #[test]
    fn all_slots_can_be_claimed_once_from_any_home() {
        for home in [0, 1, 63, 64, 1023] {
            let slots = Slots::new(64);
            let mut seen = [false; 64];
            for _ in 0..64 {
                let slot = slots.claim(home).unwrap();
                assert!(!core::mem::replace(&mut seen[slot.get()], true));
            }
            assert_eq!(slots.claim(home), None);
            assert_eq!(
                SlotIndex::new(u8::try_from(home % 64).unwrap()).map(|slot| slots.release(slot)),
                Some(())
            );
            assert_eq!(slots.claim(home + 1).map(SlotIndex::get), Some(home % 64));
        }
    }

    #[test]
    fn a_small_table_is_never_left() {
        let slots = Slots::new(3);
        for _ in 0..3 {
            assert!(slots.claim(5).is_some_and(|slot| slot.get() < 3));
        }
        assert_eq!(slots.claim(5), None);
        assert_eq!(Slots::new(0).claim(7), None);
    }

    #[test]
    fn quarantine_ends_when_the_late_byte_is_final_and_not_before() {
        let cpus = [PerCpu::new(), PerCpu::new()];
        let slots = Slots::new(1);
        let slot = slots.claim(0).unwrap();
        cpus[1].vector().arm(slot);
        slots.quarantine(slot);
        assert_eq!(slots.claim(0), None);
        assert_eq!(slots.reclaim(0, &cpus), None);
        assert_eq!(slots.quarantined(), 1);

        let table = rar_percpu::PayloadTable::new();
        let domain = rar_percpu::Domain::<1>::new(&table, &cpus);
        domain
            .register(rar_percpu::CpuId::new(1), rar_percpu::ApicId::new(1))
            .unwrap();
        let tlb = rar_percpu::fake::FakeTlb::<2>::new();
        // Coming up clears the vector while nothing reads the slot.
        let _online =
            rar_percpu::SoftwareCpu::join(&domain, &rar_percpu::fake::pinned(1), &tlb).unwrap();
        assert_eq!(slots.reclaim(0, &cpus), Some(slot));
    }
}
