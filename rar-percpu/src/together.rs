//! Entries that are answered together: one flush for all of them, where that is cheaper than each
//! by itself.
//!
//! Only where software answers. A RAR unit carries out each entry by itself, and no initiator can
//! spare it that: another's entry may have been begun before one's own page-table stores, so that
//! its answer says nothing about them, and only its owner may take a pending byte back. To look for
//! others' entries would move the target's vector once more per target. What a unit can be held by
//! is bounded instead: 64 entries, each of at most 63 pages. `cargo xtask sim --loss` counts both.

use rar_payload::{Payload, Pcid};

use crate::missed::Missed;
use crate::slot_index::SlotIndex;

/// What the flush of a whole address space costs, in pages one by one: as much as 33, the ceiling
/// of Linux.
const SPACE: u32 = 33;

/// The flush of every address space: as much as that of four, since each has to load again what it
/// lost.
const EVERY_SPACE: u32 = 4 * SPACE;

/// At most this many entries may be those of one flush, whose initiator has weighed them; a loom
/// model has two slots in all.
const FEW: u32 = if cfg!(rar_loom) { 1 } else { 4 };

// Types and subtypes of entries.
const INVPG_BY_CR3: u8 = 0;
const INVPG: u8 = 1;
const INVPCID: u8 = 2;
const PAGES: u8 = 0;
const CONTEXT: u8 = 1;
const ALL: u8 = 2;
const ALL_BUT_GLOBALS: u8 = 3;

/// Entries that ask for flushes of address spaces, as the responder has taken them.
///
/// However many are pending for one address space, they cost no more than one flush of it, or than
/// the few entries of one flush. Entries for several address spaces cost no more than one flush of
/// all.
#[derive(Debug, Default)]
pub(crate) struct Together {
    slots: u64,
    /// What one flush would have to drop.
    needed: Option<Missed>,
    /// What they cost one by one, in pages.
    cost: u32,
}

impl Together {
    /// Returns whether the entries are enough to be cheaper together: what few ask for is carried
    /// out as it is.
    pub(crate) fn may_be_cheaper(taken: u64) -> bool {
        // Counting all bits takes longer where the CPU's instruction for it is not compiled in.
        (0..FEW).fold(taken, |left, _| left & left.wrapping_sub(1)) != 0
    }

    /// Adds an entry; one that no flush of address spaces answers is left out.
    ///
    /// The entry is weighed and not judged: it is decoded once, when it is answered, and FAILURE if
    /// it asks for nothing legal.
    pub(crate) fn add(&mut self, slot: SlotIndex, entry: &Payload) {
        let pages = u32::from(entry.page_count());
        let (needed, cost) = match (entry.payload_type(), entry.subtype()) {
            (INVPCID, PAGES) => (space(entry), pages),
            (INVPCID, CONTEXT) => (space(entry), SPACE),
            (INVPG_BY_CR3 | INVPG, PAGES) => (Missed::Anything, pages),
            (INVPCID | INVPG_BY_CR3 | INVPG, ALL) => (Missed::Anything, EVERY_SPACE),
            (INVPCID | INVPG_BY_CR3 | INVPG, ALL_BUT_GLOBALS) => (Missed::AnySpace, EVERY_SPACE),
            // Guests' translations, or no flush at all.
            _ => return,
        };
        self.slots |= 1 << slot.get();
        self.needed = Some(self.needed.map_or(needed, |others| others.and(needed)));
        self.cost = self.cost.saturating_add(cost);
    }

    /// Returns the one flush that is cheaper than many entries one by one, and the slots that it
    /// answers.
    pub(crate) fn cheaper(&self) -> Option<(Missed, u64)> {
        let needed = self.needed?;
        let cost = match needed {
            Missed::Space(_) => SPACE,
            Missed::AnySpace | Missed::Anything => EVERY_SPACE,
        };
        (Self::may_be_cheaper(self.slots) && self.cost > cost).then_some((needed, self.slots))
    }
}

/// Returns the address space that an entry names; one that names none legal covers nothing less.
fn space(entry: &Payload) -> Missed {
    let pcid = u16::try_from(entry.operand()).ok().map(Pcid::new);
    pcid.and_then(Result::ok)
        .map_or(Missed::AnySpace, Missed::Space)
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use rar_payload::{
        Globals, InvpcidScope, InvpgScope, Operation, PageChunk, PageRange, PageSize,
    };

    use super::*;

    fn chunk(pages: u64) -> PageChunk {
        PageChunk::new(PageRange::new(0x1000, pages, PageSize::Size4K).unwrap()).unwrap()
    }

    fn pages(pcid: u16, count: u64) -> Operation {
        Operation::Invpcid(InvpcidScope::Pages {
            pcid: Pcid::new(pcid).unwrap(),
            pages: chunk(count),
        })
    }

    fn invpg(scope: InvpgScope) -> Operation {
        Operation::Invpg { cr3: None, scope }
    }

    fn context(pcid: u16) -> Operation {
        let pcid = Pcid::new(pcid).unwrap();
        Operation::Invpcid(InvpcidScope::Context { pcid })
    }

    fn all(globals: Globals) -> Operation {
        Operation::Invpcid(InvpcidScope::AllContexts(globals))
    }

    fn needed(operations: &[Operation]) -> Option<Missed> {
        let mut together = Together::default();
        for (operation, slot) in operations.iter().zip(SlotIndex::all()) {
            together.add(slot, &operation.encode());
        }
        let (needed, slots) = together.cheaper()?;
        assert_eq!(slots, (1 << operations.len()) - 1);
        Some(needed)
    }

    #[test]
    fn entries_go_together_where_they_cost_more_than_one_flush() {
        let five = Some(Missed::Space(Pcid::new(5).unwrap()));
        for (operations, expected) in [
            // As many as one flush may have are carried out as they are.
            (&[pages(5, 63); 4] as &[_], None),
            (&[all(Globals::Include); 4], None),
            (&[pages(5, 6); 5], None),
            (&[pages(5, 7); 5], five),
            (
                &[
                    context(5),
                    pages(5, 1),
                    pages(5, 1),
                    pages(5, 1),
                    pages(5, 1),
                ],
                five,
            ),
            // Several address spaces are not worth all the others, while they are few.
            (
                &[
                    context(5),
                    context(6),
                    context(7),
                    pages(6, 16),
                    pages(5, 17),
                ],
                None,
            ),
            (
                &[
                    context(5),
                    context(6),
                    context(7),
                    pages(6, 17),
                    pages(5, 17),
                ],
                Some(Missed::AnySpace),
            ),
            (
                &[
                    all(Globals::Exclude),
                    pages(5, 1),
                    pages(5, 1),
                    pages(5, 1),
                    pages(5, 1),
                ],
                Some(Missed::AnySpace),
            ),
            (
                &[invpg(InvpgScope::All(Globals::Include)); 5],
                Some(Missed::Anything),
            ),
            (
                &[invpg(InvpgScope::All(Globals::Exclude)); 5],
                Some(Missed::AnySpace),
            ),
            (&[invpg(InvpgScope::Pages(chunk(26))); 5], None),
            (
                &[invpg(InvpgScope::Pages(chunk(27))); 5],
                Some(Missed::Anything),
            ),
            (
                &[
                    all(Globals::Include),
                    pages(5, 1),
                    pages(5, 1),
                    pages(5, 1),
                    pages(5, 1),
                ],
                Some(Missed::Anything),
            ),
        ] {
            assert_eq!(needed(operations), expected, "{operations:?}");
        }
    }
}
