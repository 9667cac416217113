//! Address translation, accesses, and the store buffer.

use rar_model::{Invalidation, Level, Refused, StructureEntry, Tag, Tlb as _, Translation};

use super::caches::Mmu;
use super::{Machine, PageFault, Stored, lock};
use crate::page_tables::{Entry, INDEX_BITS, ROOT_SHIFT, slot};
use crate::schedule::step;

impl<const TLB: usize> Machine<'_, TLB> {
    /// Loads the quadword at a linear address: one instruction.
    ///
    /// # Errors
    ///
    /// [`PageFault`] if no mapping allows it.
    pub fn load(&self, cpu: u32, address: u64) -> Result<u64, PageFault> {
        step();
        let mut mmu = lock(&self.cpu(cpu).mmu);
        let translation = self.translate(cpu, &mut mmu, address, false)?;
        let physical = translation.physical_of(address);
        let forwarded = mmu
            .stores
            .iter()
            .rev()
            .find(|stored| stored.physical == physical);
        Ok(forwarded.map_or_else(|| self.memory.load(physical), |stored| stored.value))
    }

    /// Stores a quadword to a linear address: one instruction. The store reaches memory later.
    ///
    /// # Errors
    ///
    /// [`PageFault`] if no mapping allows it.
    pub fn store(&self, cpu: u32, address: u64, value: u64) -> Result<(), PageFault> {
        step();
        let mut mmu = lock(&self.cpu(cpu).mmu);
        let translation = self.translate(cpu, &mut mmu, address, true)?;
        if mmu.stores.len() >= self.config.buffered {
            self.drain_one(cpu, &mut mmu);
        }
        mmu.stores.push_back(Stored {
            translation,
            physical: translation.physical_of(address),
            value,
        });
        Ok(())
    }

    /// MOV to CR3. Bit 63 keeps the cached translations of the new PCID.
    pub fn load_cr3(&self, cpu: u32, value: u64) {
        step();
        self.drain_stores(cpu);
        self.cpu(cpu).with_tlb(|tlb| tlb.load_cr3(value));
    }

    /// Lets all buffered stores reach memory, as every serializing instruction does.
    pub fn drain_stores(&self, cpu: u32) {
        let mut mmu = lock(&self.cpu(cpu).mmu);
        while self.drain_one(cpu, &mut mmu) {}
    }

    fn drain_one(&self, cpu: u32, mmu: &mut Mmu<TLB>) -> bool {
        let Some(stored) = mmu.stores.pop_front() else {
            return false;
        };
        self.watch.drains(cpu, &stored);
        self.memory.store(stored.physical, stored.value);
        true
    }

    /// Does what a CPU may do at any time: lets a buffered store leave, walks a page speculatively.
    pub(super) fn act_unasked(&self, cpu: u32) {
        let dice = self.choice().u32(..);
        let [drain, speculate, low, high] = dice.to_le_bytes();
        if drain < 32 {
            self.drain_one(cpu, &mut lock(&self.cpu(cpu).mmu));
        }
        if speculate < self.config.speculation {
            let address = self.watch.speculates_on(u16::from_le_bytes([low, high]));
            let mut mmu = lock(&self.cpu(cpu).mmu);
            if !self.cpu(cpu).is_in_guest() && mmu.tlb.lookup(address).is_none() {
                let _walked = self.walk(cpu, &mut mmu, address);
            }
        }
    }

    fn translate(
        &self,
        cpu: u32,
        mmu: &mut Mmu<TLB>,
        address: u64,
        write: bool,
    ) -> Result<Translation, PageFault> {
        let allows = |translation: &Translation| !write || translation.is_writable();
        let cached = mmu.tlb.lookup(address).filter(allows);
        // A cached entry that forbids the access does not fault: the CPU walks the tables again.
        let translation = cached
            .or_else(|| self.walk(cpu, mmu, address).filter(allows))
            .ok_or(PageFault)?;
        self.watch.uses(cpu, &translation, write);
        Ok(translation)
    }

    /// Walks the page tables from the nearest cached table and caches the result.
    fn walk(&self, cpu: u32, mmu: &mut Mmu<TLB>, address: u64) -> Option<Translation> {
        let pcid = mmu.tlb.pcid();
        let cached = mmu.tlb.lookup_structure(address);
        let (mut table, mut shift) = cached
            .map_or((mmu.tlb.cr3() & Entry::ADDRESS, ROOT_SHIFT), |entry| {
                (entry.next_table(), shift_below(entry.level()))
            });
        loop {
            self.watch.walks(cpu, table);
            let entry = Entry(self.memory.load(slot(table, address, shift)));
            if !entry.is_present() {
                return None;
            }
            if let Some(size) = entry.maps(shift) {
                let tag = if entry.is_global() {
                    Tag::Global
                } else {
                    Tag::Pcid(pcid)
                };
                let found = Translation::new(address, entry.address(), size, tag);
                let found = if entry.is_writable() {
                    found
                } else {
                    found.read_only()
                };
                mmu.tlb.fill(found);
                return Some(found);
            }
            table = entry.address();
            if let Some(level) = level(shift) {
                mmu.tlb
                    .fill_structure(StructureEntry::new(level, address, pcid, table));
            }
            shift -= INDEX_BITS;
        }
    }

    /// Drops what the invalidation names, and reports each dropped translation.
    pub(super) fn invalidate(&self, cpu: u32, invalidation: Invalidation) -> Result<(), Refused> {
        let mut mmu = lock(&self.cpu(cpu).mmu);
        let pcid = mmu.tlb.pcid();
        for gone in mmu.tlb.iter().filter(|held| invalidation.hits(held, pcid)) {
            self.watch.drops(cpu, &gone);
        }
        mmu.tlb.invalidate(invalidation)?;
        Ok(())
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

const fn shift_below(level: Level) -> u32 {
    match level {
        Level::Pml4e => 30,
        Level::Pdpte => 21,
        Level::Pde => 12,
    }
}
