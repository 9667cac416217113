//! One page walk in flight: what it has found so far.

use rar_model::{Invalidation, Level, PageSize, StructureEntry, Tag, Tlb as _, Translation};

use super::caches::Caches;
use crate::page_tables::{Entry, ROOT_SHIFT};

/// A page walk between two of its accesses to memory.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) address: u64,
    pub(super) vpid: u16,
    pub(super) pcid: u16,
    pub(super) at: Position,
    /// The entries of upper structures on its way.
    passed: [Option<StructureEntry>; 3],
}

/// Where a walk stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Position {
    /// Reads this table next, which translates from bit `shift` on.
    Table { table: u64, shift: u32 },
    /// Has read the entry of the page at `place`, and fills the TLB next.
    Page {
        found: Translation,
        place: u64,
        entry: Entry,
    },
}

impl Walk {
    /// Begins at the nearest cached table.
    pub(super) fn begin<const TLB: usize>(tlb: &Caches<TLB>, address: u64) -> Self {
        let cached = tlb.lookup_structure(address);
        let root = (tlb.cr3() & Entry::ADDRESS, ROOT_SHIFT);
        let (table, shift) = cached.map_or(root, |entry| {
            (entry.next_table(), shift_below(entry.level()))
        });
        let (vpid, pcid) = tlb.space();
        Self {
            address,
            vpid,
            pcid,
            at: Position::Table { table, shift },
            passed: [cached, None, None],
        }
    }

    /// Returns whether an invalidation names anything that the walk has used or may still find: the
    /// walk must not fill the TLB after it.
    pub(super) fn is_hit(&self, invalidation: Invalidation, current_pcid: u16) -> bool {
        let passed = self.passed.iter().flatten();
        let mut passed = passed.filter(|entry| invalidation.hits_structure(entry, current_pcid));
        passed.next().is_some()
            || match self.at {
                Position::Page { found, .. } => invalidation.hits(&found, current_pcid),
                Position::Table { shift, .. } => self
                    .may_find(shift)
                    .any(|found| invalidation.hits(&found, current_pcid)),
            }
    }

    /// All kinds of translations to which the table at this level may still lead.
    fn may_find(&self, shift: u32) -> impl Iterator<Item = Translation> + use<'_> {
        let sizes = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];
        let sizes = sizes
            .into_iter()
            .filter(move |size| size.bytes() <= 1 << shift);
        let tags = [Tag::Pcid(self.pcid), Tag::Global];
        let found = |size, tag| Translation::new(self.address, 0, size, tag).of_guest(self.vpid);
        sizes.flat_map(move |size| tags.map(|tag| found(size, tag)))
    }

    /// Adds an entry of an upper structure to those on the way.
    pub(super) fn pass(&mut self, entry: StructureEntry) {
        if let Some(free) = self.passed.iter_mut().find(|place| place.is_none()) {
            *free = Some(entry);
        }
    }
}

const fn shift_below(level: Level) -> u32 {
    match level {
        Level::Pml4e => 30,
        Level::Pdpte => 21,
        Level::Pde => 12,
    }
}
