//! The page walker: the accesses to memory that a walk makes, one at a time.

use rar_model::{Level, StructureEntry, Tag, Translation};

use super::Machine;
use super::caches::Mmu;
use super::walk::{Position, Walk};
use crate::page_tables::{Entry, INDEX_BITS, ROOT_SHIFT, slot};

/// For what a walk is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A load, or speculation.
    Load,
    /// A store: sets D.
    Store,
}

/// What one access of a walk led to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Advance {
    /// The walk goes on.
    Continues,
    /// Nothing is mapped.
    NotPresent,
    /// The TLB holds this now.
    Filled(Translation),
}

impl<const TLB: usize> Machine<'_, TLB> {
    /// Makes the next access of a walk.
    pub(super) fn advance(
        &self,
        cpu: u32,
        mmu: &mut Mmu<TLB>,
        walk: &mut Walk,
        purpose: Purpose,
    ) -> Advance {
        match walk.at {
            Position::Table { table, shift } => self.read_table(cpu, mmu, walk, table, shift),
            Position::Page {
                found,
                place,
                entry,
            } => self.fill(cpu, mmu, walk, purpose, (found, place, entry)),
        }
    }

    fn read_table(
        &self,
        cpu: u32,
        mmu: &mut Mmu<TLB>,
        walk: &mut Walk,
        table: u64,
        shift: u32,
    ) -> Advance {
        let (address, vpid, pcid) = (walk.address, walk.vpid, walk.pcid);
        self.watch.walks(cpu, table);
        let place = slot(table, address, shift);
        let entry = Entry(self.memory.load(place));
        if !entry.is_present() {
            return Advance::NotPresent;
        }
        if !entry.is_accessed() {
            if !self.memory.set_if(place, entry.0, Entry::ACCESSED) {
                // The entry has changed: it is read again.
                return Advance::Continues;
            }
            self.watch.records(cpu, entry.address(), Entry::ACCESSED);
        }
        if let Some(size) = entry.maps(shift) {
            let tag = if entry.is_global() {
                Tag::Global
            } else {
                Tag::Pcid(pcid)
            };
            let found = Translation::new(address, entry.address(), size, tag).of_guest(vpid);
            let found = if entry.is_writable() {
                found
            } else {
                found.read_only()
            };
            let entry = Entry(entry.0 | Entry::ACCESSED);
            walk.at = Position::Page {
                found,
                place,
                entry,
            };
            return Advance::Continues;
        }
        let table = entry.address();
        if let Some(level) = level(shift) {
            let entry = StructureEntry::new(level, address, pcid, table).of_guest(vpid);
            mmu.tlb.fill_structure(entry);
            walk.pass(entry);
        }
        walk.at = Position::Table {
            table,
            shift: shift - INDEX_BITS,
        };
        Advance::Continues
    }

    /// Caches what the walk has found. A store sets D first, in the entry as it was read.
    fn fill(
        &self,
        cpu: u32,
        mmu: &mut Mmu<TLB>,
        walk: &mut Walk,
        purpose: Purpose,
        (found, place, entry): (Translation, u64, Entry),
    ) -> Advance {
        let is_dirty = entry.is_dirty() || mmu.takes_for_dirty(&found);
        let sets = purpose == Purpose::Store && found.is_writable() && !is_dirty;
        if sets {
            if !self.memory.set_if(place, entry.0, Entry::DIRTY) {
                *walk = Walk::begin(&mmu.tlb, walk.address);
                return Advance::Continues;
            }
            self.watch.records(cpu, found.physical(), Entry::DIRTY);
        }
        let found = if is_dirty || sets {
            found
        } else {
            found.clean()
        };
        mmu.tlb.fill(found);
        Advance::Filled(found)
    }
}

/// The paging-structure cache for entries of the table at this level; entries of the lowest level
/// are translations.
const fn level(shift: u32) -> Option<Level> {
    match shift {
        ROOT_SHIFT => Some(Level::Pml4e),
        30 => Some(Level::Pdpte),
        21 => Some(Level::Pde),
        _ => None,
    }
}
