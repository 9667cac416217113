//! Address translation, accesses, and the store buffer.

use std::collections::{HashSet, VecDeque};

use rar_model::{Invalidation, PageSize, Pcids, Refused, Tag, Tlb, TlbModel, Translation};

use super::{Machine, lock};
use crate::page_tables::{Entry, INDEX_BITS, ROOT_SHIFT};
use crate::schedule::step;

/// The access faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault;

/// A store that waits in a CPU's buffer, its address translated long since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What the address was translated by.
    pub translation: Translation,
    /// Where the store goes.
    pub physical: u64,
    /// What is stored.
    pub value: u64,
}

/// What one CPU caches of the page tables, and its stores that are on the way.
#[derive(Debug)]
pub(crate) struct Mmu<const TLB: usize> {
    pub(crate) tlb: TlbModel<TLB>,
    stores: VecDeque<Stored>,
}

impl<const TLB: usize> Mmu<TLB> {
    pub(crate) fn new() -> Self {
        Self {
            tlb: TlbModel::new(0, Pcids::Enabled),
            stores: VecDeque::new(),
        }
    }
}

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

    /// Stores a quadword to a linear address: one instruction. It reaches memory later.
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

    /// MOV to CR3. Bit 63 keeps what is cached of the new PCID.
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

    /// What a CPU may do at any time: let a buffered store go, walk some page speculatively.
    pub(super) fn act_unasked(&self, cpu: u32) {
        let dice = self.choice().u32(..);
        let [drain, speculate, low, high] = dice.to_le_bytes();
        if drain < 32 {
            self.drain_one(cpu, &mut lock(&self.cpu(cpu).mmu));
        }
        if speculate < self.config.speculation {
            let address = self.watch.speculates_on(u16::from_le_bytes([low, high]));
            let mut mmu = lock(&self.cpu(cpu).mmu);
            if mmu.tlb.cr3() != 0 && mmu.tlb.lookup(address).is_none() {
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
        // A cached entry that forbids the access is no reason to fault: the tables are asked again.
        let translation = cached
            .or_else(|| self.walk(cpu, mmu, address).filter(allows))
            .ok_or(PageFault)?;
        self.watch.uses(cpu, &translation);
        Ok(translation)
    }

    /// Walks the page tables and caches what is found.
    fn walk(&self, cpu: u32, mmu: &mut Mmu<TLB>, address: u64) -> Option<Translation> {
        let mut table = mmu.tlb.cr3() & Entry::ADDRESS;
        let mut shift = ROOT_SHIFT;
        let mut writable = true;
        loop {
            self.watch.walks(cpu, table);
            let index = address >> shift & ((1 << INDEX_BITS) - 1);
            let entry = Entry(self.memory.load(table + 8 * index));
            if !entry.is_present() {
                return None;
            }
            writable &= entry.is_writable();
            let size = match shift {
                12 => Some(PageSize::Size4K),
                21 if entry.is_large() => Some(PageSize::Size2M),
                30 if entry.is_large() => Some(PageSize::Size1G),
                _ => None,
            };
            if let Some(size) = size {
                let tag = if entry.is_global() {
                    Tag::Global
                } else {
                    Tag::Pcid(mmu.tlb.pcid())
                };
                let found = Translation::new(address, entry.address(), size, tag);
                let found = if writable { found } else { found.read_only() };
                mmu.tlb.fill(found);
                return Some(found);
            }
            table = entry.address();
            shift -= INDEX_BITS;
        }
    }

    /// Drops what the invalidation names, and counts what needed no dropping.
    pub(super) fn invalidate(&self, cpu: u32, invalidation: Invalidation) -> Result<(), Refused> {
        let mut mmu = lock(&self.cpu(cpu).mmu);
        let mut dropped: HashSet<_> = mmu.tlb.iter().collect();
        mmu.tlb.invalidate(invalidation)?;
        for kept in mmu.tlb.iter() {
            dropped.remove(&kept);
        }
        dropped.iter().for_each(|gone| self.watch.drops(cpu, gone));
        Ok(())
    }
}
