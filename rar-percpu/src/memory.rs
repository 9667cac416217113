//! The memory that initiators and microcode share: one payload table, one action vector per CPU.
//!
//! Both are arrays of atomics, so that sharing them needs no unsafe code. Nothing here is safe
//! public API: who may write what is decided by [`Claimed`](crate::Claimed) for initiators and by
//! [`Domain`](crate::Domain) for responders.

use rar_payload::{Operation, Payload};

use crate::action::{ActionByte, ActionState};
use crate::slot_index::SlotIndex;
use crate::sync::{AtomicU8, AtomicU64, MAX_SLOTS, Ordering, const_unless_loom, shared_array};

/// The payload table: 64 entries of 64 bytes in one 4 KiB page.
///
/// Its address goes into `RAR_PAYLOAD_TABLE_BASE` of every CPU. Several tables for subsets of CPUs
/// are possible; one table for all CPUs of a [`Domain`](crate::Domain) is our choice, as it was
/// Linux's.
#[repr(C, align(4096))]
#[doc(alias = "rar_payload")]
#[derive(Debug)]
pub struct PayloadTable {
    entries: [Entry; MAX_SLOTS],
}

#[repr(C, align(64))]
#[derive(Debug)]
struct Entry {
    words: [AtomicU64; 8],
}

/// How many words of an entry a unit reads.
const FOR_UNIT: usize = 4;

/// An operation as a unit reads it.
///
/// A caller that has yet to find out whether and where an entry is to be written keeps these few
/// words instead of the [`Operation`], and does not ask again what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryWords([u64; FOR_UNIT]);

impl EntryWords {
    /// The words of no operation.
    pub const EMPTY: Self = Self([0; FOR_UNIT]);

    /// Returns quadword 2: CR3, PCID, EPTP or VPID, according to the type.
    #[must_use]
    #[inline(always)]
    pub const fn operand(&self) -> u64 {
        let [_, _, operand, _] = self.0;
        operand
    }
}

impl From<&Operation> for EntryWords {
    #[inline(always)]
    fn from(operation: &Operation) -> Self {
        let [control, unused, operand, address, ..] = operation.encode().words();
        Self([control, unused, operand, address])
    }
}

impl From<&Self> for EntryWords {
    #[inline(always)]
    fn from(words: &Self) -> Self {
        *words
    }
}

impl PayloadTable {
    const_unless_loom! {
        /// Returns a table of zeroes.
        pub(crate) fn new() -> Self {
            Self {
                entries: shared_array!(
                    Entry { words: shared_array!(AtomicU64::new(0); 8) }; MAX_SLOTS
                ),
            }
        }
    }

    /// Writes what a unit reads of an entry; its other half is for software, and stays.
    #[inline]
    pub(crate) fn store(&self, slot: SlotIndex, entry: impl Into<EntryWords>) {
        self.write(slot, entry.into().0);
    }

    #[inline]
    fn write<const COUNT: usize>(&self, slot: SlotIndex, words: [u64; COUNT]) {
        for (word, value) in self.entry(slot).words.iter().zip(words) {
            // Ordered by the Release of `ActionVector::arm`. Partner: the exchange of `take`, and
            // the unit's read.
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Reads what a unit reads of one entry; its other half is for software, and zero in what is
    /// returned.
    #[inline]
    pub(crate) fn load_for_unit(&self, slot: SlotIndex) -> Payload {
        let mut words = [0; 8];
        let entry = words.iter_mut().zip(&self.entry(slot).words);
        for (value, word) in entry.take(FOR_UNIT) {
            *value = word.load(Ordering::Relaxed);
        }
        Payload::from_words(words)
    }

    /// Reads one entry, as a target does after it has taken the byte.
    #[must_use]
    pub fn load(&self, slot: SlotIndex) -> Payload {
        let mut words = [0; 8];
        for (value, word) in words.iter_mut().zip(&self.entry(slot).words) {
            *value = word.load(Ordering::Relaxed);
        }
        Payload::from_words(words)
    }

    /// Writes any 64 bytes as an entry, as a test of a unit does.
    ///
    /// # Safety
    ///
    /// 1. No flush is in flight in this slot: the caller owns it, and every CPU's byte of it is
    ///    final.
    /// 2. What the entry does to a CPU that executes it is harmless: type 5 writes an MSR.
    #[expect(
        unsafe_code,
        reason = "a payload is any 64 bytes, and a flush in flight relies on its own"
    )]
    pub unsafe fn store_payload(&self, slot: SlotIndex, payload: &Payload) {
        self.write(slot, payload.words());
    }

    #[inline]
    fn entry(&self, slot: SlotIndex) -> &Entry {
        #[expect(
            clippy::indexing_slicing,
            reason = "a SlotIndex is below MAX_SLOTS by construction"
        )]
        &self.entries[slot.get()]
    }
}

/// One CPU's action vector: a byte per slot, one cache line.
///
/// Its address goes into `RAR_ACTION_VECTOR_BASE` of the CPU. Initiators turn a byte of their own
/// slot pending, the CPU's RAR unit makes it final. Initiators of different slots write
/// neighbouring bytes at once, so nothing here is ever wider than a byte.
#[repr(C, align(64))]
#[doc(alias = "rar_action")]
#[derive(Debug)]
pub struct ActionVector {
    bytes: [AtomicU8; MAX_SLOTS],
}

impl ActionVector {
    const_unless_loom! {
        /// Returns a vector with nothing pending.
        pub(crate) fn new() -> Self {
            Self { bytes: shared_array!(AtomicU8::new(ActionState::Success as u8); MAX_SLOTS) }
        }
    }

    /// Reads the slot's byte once.
    #[must_use]
    #[inline]
    pub fn load(&self, slot: SlotIndex) -> ActionByte {
        // Acquire: a final byte comes after the flush and after the last read of the payload.
        // Partner: the unit's store, and the Release of `finish`.
        ActionByte(self.byte(slot).load(Ordering::Acquire))
    }

    /// Returns whether no byte of the vector waits for an answer.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        SlotIndex::all().all(|slot| self.load(slot).is_final())
    }

    /// Marks the slot's entry pending for this CPU, after its payload was written.
    #[inline]
    pub(crate) fn arm(&self, slot: SlotIndex) {
        // Release: a unit that sees PENDING sees the payload. Partner: the unit's read, and the
        // exchange of `take`.
        self.byte(slot)
            .store(ActionState::Pending as u8, Ordering::Release);
    }

    /// Marks the slot's entry pending, as a test of a unit does.
    ///
    /// # Safety
    ///
    /// 1. No flush is in flight in this slot: the caller owns it, and its payload is written.
    #[expect(
        unsafe_code,
        reason = "a byte that another flush waits for would count as its answer"
    )]
    pub unsafe fn arm_unowned(&self, slot: SlotIndex) {
        self.arm(slot);
    }

    /// Takes a pending entry for the software responder, before its payload is read. At most one
    /// caller gets it.
    pub(crate) fn take(&self, slot: SlotIndex) -> bool {
        let byte = self.byte(slot);
        // The load keeps a scan from writing to the line. Acquire of the exchange: the payload that
        // was written before the byte was armed. Partner: `arm`.
        byte.load(Ordering::Relaxed) == ActionState::Pending as u8
            && byte
                .compare_exchange(
                    ActionState::Pending as u8,
                    ActionByte::TAKEN,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// Makes a byte final in software, if it is still what the caller found: `TAKEN` by the
    /// responder that took it, or left behind on a CPU whose unit is disabled.
    ///
    /// An exchange, since a handler that came between may have ended the entry already, by taking
    /// the CPU offline and back online, and the slot may serve another flush by now.
    pub(crate) fn finish(&self, slot: SlotIndex, found: ActionByte, state: ActionState) {
        // Release: the flush, and the read of the payload, are done. Partner: `load` of the waiting
        // initiator.
        let _ended_by_a_handler = self.byte(slot).compare_exchange(
            found.0,
            state as u8,
            Ordering::Release,
            Ordering::Relaxed,
        );
    }

    /// Forgets a refusal, so that the slot can be judged by its next answers alone. Only for who
    /// owns the slot and has nothing armed in it: no unit touches a final byte.
    pub(crate) fn forget_failure(&self, slot: SlotIndex) {
        // An update, not a load before it: loom does not explore a store by another thread between
        // a load and the update that follows it, if that thread has loaded the byte too.
        let _was_none = self.byte(slot).compare_exchange(
            ActionState::Failure as u8,
            ActionState::Success as u8,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    #[inline]
    fn byte(&self, slot: SlotIndex) -> &AtomicU8 {
        #[expect(
            clippy::indexing_slicing,
            reason = "a SlotIndex is below MAX_SLOTS by construction"
        )]
        &self.bytes[slot.get()]
    }
}

#[cfg(not(rar_loom))]
mod layout {
    use core::mem::{align_of, offset_of, size_of};

    use super::{ActionVector, Entry, PayloadTable};

    // A unit addresses entry i at table base + 64 * i, and byte i at vector base + i; the table is
    // one page, the vector one line.
    const _: () = assert!(size_of::<PayloadTable>() == 4096);
    const _: () = assert!(align_of::<PayloadTable>() == 4096);
    const _: () = assert!(size_of::<Entry>() == 64);
    const _: () = assert!(offset_of!(PayloadTable, entries) == 0);
    const _: () = assert!(offset_of!(Entry, words) == 0);
    const _: () = assert!(size_of::<ActionVector>() == 64);
    const _: () = assert!(align_of::<ActionVector>() == 64);
    const _: () = assert!(offset_of!(ActionVector, bytes) == 0);
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use rar_payload::{Globals, InvpcidScope, Pcid};

    use super::*;

    fn slot(index: u8) -> SlotIndex {
        SlotIndex::new(index).unwrap()
    }

    #[test]
    fn an_entry_reads_back_and_leaves_its_neighbours() {
        let table = PayloadTable::new();
        table.write(slot(7), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(table.load(slot(7)).words(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(table.load(slot(6)).words(), [0; 8]);
        assert_eq!(table.load(slot(8)).words(), [0; 8]);
    }

    #[test]
    fn the_operand_of_an_operation_is_the_third_word() {
        let pcid = Pcid::new(5).unwrap();
        let space = Operation::Invpcid(InvpcidScope::Context { pcid });
        assert_eq!(EntryWords::from(&space).operand(), 5);
        assert_eq!(EntryWords([1, 2, 3, 4]).operand(), 3);
        assert_eq!(EntryWords::EMPTY.operand(), 0);
    }

    #[test]
    fn the_half_of_an_entry_that_is_for_software_stays() {
        let table = PayloadTable::new();
        let everything = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Include));
        let [control, one, two, three, ..] = everything.encode().words();
        table.write(slot(7), [u64::MAX; 8]);
        table.store(slot(7), &everything);
        let max = u64::MAX;
        let expected = [control, one, two, three, max, max, max, max];
        assert_eq!(table.load(slot(7)).words(), expected);
        assert_eq!(table.load_for_unit(slot(7)), everything.encode());
    }

    #[test]
    fn only_a_pending_byte_can_be_taken_and_only_once() {
        let vector = ActionVector::new();
        assert!(!vector.take(slot(3)));
        vector.arm(slot(3));
        assert!(vector.take(slot(3)));
        assert!(!vector.take(slot(3)));
        let taken = vector.load(slot(3));
        assert!(!taken.is_final() && !vector.is_quiet());
        vector.finish(slot(3), taken, ActionState::Success);
        assert_eq!(vector.load(slot(3)), ActionByte(0));
        assert!(vector.is_quiet());
    }

    #[test]
    fn a_byte_that_was_armed_again_is_not_finished_by_its_former_responder() {
        let vector = ActionVector::new();
        vector.arm(slot(3));
        assert!(vector.take(slot(3)));
        let taken = vector.load(slot(3));
        vector.arm(slot(3));
        vector.finish(slot(3), taken, ActionState::Success);
        assert_eq!(vector.load(slot(3)).state(), Ok(ActionState::Pending));
    }

    #[test]
    fn arming_touches_one_byte() {
        let vector = ActionVector::new();
        vector.arm(slot(63));
        for s in SlotIndex::all() {
            assert_eq!(vector.load(s).0, u8::from(s == slot(63)));
        }
    }
}
