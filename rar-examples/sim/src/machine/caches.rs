//! What one CPU caches of the page tables, and its store buffer.

use std::collections::VecDeque;

use rar_model::{Invalidation, Leftovers, Pcids, Refused, Tlb as _, TlbModel, Translation};

use super::walk::Walk;

/// How many entries the paging-structure caches of a CPU hold.
const STRUCTURES: usize = 32;

/// A CPU's TLB and paging-structure caches.
pub type Caches<const TLB: usize> = TlbModel<TLB, STRUCTURES>;

/// The access faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault;

/// A store in a CPU's buffer, already translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The translation of its address.
    pub translation: Translation,
    /// The physical address.
    pub physical: u64,
    /// The value.
    pub value: u64,
}

/// What one CPU caches of the page tables, its walks in flight, and its store buffer.
#[derive(Debug)]
pub(crate) struct Mmu<const TLB: usize> {
    pub(crate) tlb: Caches<TLB>,
    pub(super) stores: VecDeque<Stored>,
    /// A walk on speculation that is suspended.
    pub(super) speculation: Option<Walk>,
    /// The suspended walks of accesses, each with its number. An access that an interrupt met is
    /// below those of the handler.
    accesses: Vec<(u64, Walk)>,
    /// The number of the next one.
    next: u64,
    /// Flushed translations that a broken unit lets the CPU take for dirty.
    kept_dirty: Vec<Translation>,
}

impl<const TLB: usize> Mmu<TLB> {
    pub(crate) fn new() -> Self {
        Self {
            tlb: Caches::with_structures(0, Pcids::Enabled),
            stores: VecDeque::new(),
            speculation: None,
            accesses: Vec::new(),
            next: 0,
            kept_dirty: Vec::new(),
        }
    }

    /// Suspends the walk of an access, and returns its number.
    pub(super) fn suspend(&mut self, walk: Walk) -> u64 {
        self.next += 1;
        self.accesses.push((self.next, walk));
        self.next
    }

    /// Takes the suspended walk of this number; `None` if it was ended.
    pub(super) fn resume(&mut self, number: u64) -> Option<Walk> {
        let index = self.accesses.iter().position(|(own, _)| *own == number)?;
        Some(self.accesses.swap_remove(index).1)
    }

    /// Whether the CPU wrongly takes a page for dirty that it walks to.
    pub(super) fn takes_for_dirty(&self, found: &Translation) -> bool {
        let key = |held: &Translation| (held.linear(), held.size(), held.tag(), held.vpid());
        self.kept_dirty.iter().any(|held| key(held) == key(found))
    }

    /// MOV to CR3: ends all walks.
    pub(super) fn load_cr3(&mut self, value: u64) {
        self.end_walks(|_| true);
        self.tlb.load_cr3(value);
    }

    /// MOV to CR4 that turns PCIDs on or off: ends all walks.
    pub(super) fn set_pcids(&mut self, pcids: Pcids) {
        self.end_walks(|_| true);
        self.tlb.set_pcids(pcids);
    }

    /// Drops what the invalidation names except `leftovers`.
    pub(super) fn invalidate(
        &mut self,
        invalidation: Invalidation,
        leftovers: Leftovers,
    ) -> Result<(), Refused> {
        let pcid = self.tlb.pcid();
        let is_hit = |held: &Translation| invalidation.hits(held, pcid);
        let kept: Vec<_> = if leftovers.dirty_bits {
            let hit = self.tlb.iter().filter(is_hit);
            hit.filter(|held| held.is_dirty() && !self.takes_for_dirty(held))
                .collect()
        } else {
            Vec::new()
        };
        self.tlb.invalidate(invalidation)?;
        if !leftovers.dirty_bits {
            self.kept_dirty.retain(|held| !is_hit(held));
        }
        self.kept_dirty.extend(kept);
        if !leftovers.walks {
            self.end_walks(|walk| walk.is_hit(invalidation, pcid));
        }
        Ok(())
    }

    /// Cancels walks in flight. Their accesses begin again.
    fn end_walks(&mut self, is_ended: impl Fn(&Walk) -> bool) {
        self.accesses.retain(|(_, walk)| !is_ended(walk));
        self.speculation.take_if(|walk| is_ended(walk));
    }
}
