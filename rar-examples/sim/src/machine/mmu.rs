//! Address translation, accesses, and the store buffer.

use std::sync::MutexGuard;

use rar_model::{Invalidation, Leftovers, Pcids, Refused, Translation};

use super::caches::Mmu;
use super::walk::Walk;
use super::walker::{Advance, Purpose};
use super::{Machine, PageFault, Stored, lock};
use crate::schedule::step;

impl<const TLB: usize> Machine<'_, TLB> {
    /// Loads the quadword at a linear address: one instruction.
    ///
    /// # Errors
    ///
    /// [`PageFault`] if no mapping allows it.
    pub fn load(&self, cpu: u32, address: u64) -> Result<u64, PageFault> {
        self.load_pausing(cpu, address, Pauses::AsConfigured)
    }

    /// As [`load`](Self::load), but a walk that the load needs is suspended after each access to
    /// memory.
    ///
    /// # Errors
    ///
    /// [`PageFault`] if no mapping allows it.
    pub fn load_slowly(&self, cpu: u32, address: u64) -> Result<u64, PageFault> {
        self.load_pausing(cpu, address, Pauses::Always)
    }

    fn load_pausing(&self, cpu: u32, address: u64, pauses: Pauses) -> Result<u64, PageFault> {
        step();
        let (mmu, translation) = self.translate(cpu, address, Purpose::Load, pauses)?;
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
        let pauses = Pauses::AsConfigured;
        let (mut mmu, translation) = self.translate(cpu, address, Purpose::Store, pauses)?;
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
        lock(&self.cpu(cpu).mmu).load_cr3(value);
    }

    /// MOV to CR4 that turns PCIDs on or off.
    pub fn set_pcids(&self, cpu: u32, pcids: Pcids) {
        step();
        self.drain_stores(cpu);
        lock(&self.cpu(cpu).mmu).set_pcids(pcids);
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
        let begins = speculate < self.config.speculation;
        if begins || self.config.walk_pauses > 0 {
            let random = u16::from_le_bytes([low, high]);
            self.speculate(cpu, begins.then(|| self.watch.speculates_on(random)));
        }
    }

    /// Finds the translation of an access, and returns it with the TLB still locked. Where walks
    /// are suspended, other CPUs run between two of its reads, and this CPU is interrupted: the
    /// access then begins again, while its walk goes on unless a flush has ended it.
    fn translate(
        &self,
        cpu: u32,
        address: u64,
        purpose: Purpose,
        pauses: Pauses,
    ) -> Result<(MutexGuard<'_, Mmu<TLB>>, Translation), PageFault> {
        let is_store = purpose == Purpose::Store;
        let allows = |found: &Translation| !is_store || found.is_writable();
        let serves = |found: &Translation| allows(found) && (!is_store || found.is_dirty());
        let mut suspended = None;
        loop {
            let mut mmu = lock(&self.cpu(cpu).mmu);
            let own = suspended.take().and_then(|number| mmu.resume(number));
            // A cached entry that forbids the access does not fault: the CPU walks the tables
            // again.
            if let Some(cached) = mmu.tlb.lookup(address).filter(serves) {
                self.watch.uses(cpu, &cached, is_store);
                return Ok((mmu, cached));
            }
            let walk = own.unwrap_or_else(|| Walk::begin(&mmu.tlb, address));
            match self.walk(cpu, &mut mmu, walk, purpose, pauses) {
                Walked::Suspended(walk) => suspended = Some(mmu.suspend(walk)),
                Walked::Ended(found) => {
                    let found = found.filter(allows).ok_or(PageFault)?;
                    self.watch.uses(cpu, &found, is_store);
                    return Ok((mmu, found));
                }
            }
            drop(mmu);
            step();
        }
    }

    /// Walks on until the walk ends, or is suspended.
    fn walk(
        &self,
        cpu: u32,
        mmu: &mut Mmu<TLB>,
        mut walk: Walk,
        purpose: Purpose,
        pauses: Pauses,
    ) -> Walked {
        loop {
            match self.advance(cpu, mmu, &mut walk, purpose) {
                Advance::Continues if self.pauses_walk(pauses) => return Walked::Suspended(walk),
                Advance::Continues => {}
                Advance::NotPresent => return Walked::Ended(None),
                Advance::Filled(found) => return Walked::Ended(Some(found)),
            }
        }
    }

    /// Walks on speculation: begins, or goes on.
    fn speculate(&self, cpu: u32, begins: Option<u64>) {
        let mut mmu = lock(&self.cpu(cpu).mmu);
        let suspended = mmu.speculation.take();
        let begun = || {
            let address = begins.filter(|_| !self.cpu(cpu).is_in_guest())?;
            let is_cached = mmu.tlb.lookup(address).is_some();
            (!is_cached).then(|| Walk::begin(&mmu.tlb, address))
        };
        if let Some(walk) = suspended.or_else(begun) {
            let pauses = Pauses::AsConfigured;
            if let Walked::Suspended(walk) = self.walk(cpu, &mut mmu, walk, Purpose::Load, pauses) {
                mmu.speculation = Some(walk);
            }
        }
    }

    fn pauses_walk(&self, pauses: Pauses) -> bool {
        let most = self.config.walk_pauses;
        match pauses {
            Pauses::AsConfigured => most > 0 && lock(&self.pausing).u8(..) < most,
            Pauses::Always => true,
        }
    }

    /// Drops what the invalidation names, except `leftovers`, and reports each dropped translation.
    pub(super) fn invalidate(
        &self,
        cpu: u32,
        invalidation: Invalidation,
        leftovers: Leftovers,
    ) -> Result<(), Refused> {
        let mut mmu = lock(&self.cpu(cpu).mmu);
        let pcid = mmu.tlb.pcid();
        for gone in mmu.tlb.iter().filter(|held| invalidation.hits(held, pcid)) {
            self.watch.drops(cpu, &gone);
        }
        mmu.invalidate(invalidation, leftovers)
    }
}

/// Whether a walk is suspended after an access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pauses {
    /// As often as the machine is configured to.
    AsConfigured,
    /// After each.
    Always,
}

/// How far a walk came.
enum Walked {
    Suspended(Walk),
    /// With this translation in the TLB, or without one.
    Ended(Option<Translation>),
}
