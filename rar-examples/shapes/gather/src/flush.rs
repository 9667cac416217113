//! The gatherer.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::hint::spin_loop;
use core::mem::{forget, take};

use rar_shape_hardware::{Frame, PageTable, SpinLock};
use rar_shootdown::TargetFn;
use rar_shootdown::rar_payload::{Gather, LinearAddressWidth, PageSize, Pcid};
use rar_shootdown::rar_percpu::{CpuGuard, CpuId, CpuOutOfRange, CpuSet, Domain, PinnedCpu};

use crate::machine::{SHOOTDOWN, WORDS};

/// An address space.
#[derive(Debug)]
pub struct AddressSpace {
    /// What the TLBs know it by.
    pub pcid: Pcid,
    /// The CPUs that may cache translations of the space.
    cpus: SpinLock<CpuSet<WORDS>>,
    /// Its page table.
    pub table: PageTable,
}

impl AddressSpace {
    /// Returns an address space that maps nothing.
    #[must_use]
    pub const fn new(pcid: Pcid) -> Self {
        Self {
            pcid,
            cpus: SpinLock::new(CpuSet::new()),
            table: PageTable::new(),
        }
    }

    /// Notes that a CPU is about to load the page table.
    ///
    /// # Errors
    ///
    /// [`CpuOutOfRange`] for a CPU that the kernel has no room for.
    pub fn enter(&self, cpu: CpuId) -> Result<(), CpuOutOfRange> {
        self.cpus.lock(spin_loop).insert(cpu)
    }
}

/// What a flight owns until no CPU can reach it.
#[derive(Debug, Default)]
struct Freed {
    pages: Vec<Frame>,
    tables: Vec<Frame>,
}

/// Unmaps pages of one address space, and flushes at the end. Dropped without
/// [`finish`](Self::finish), it leaks.
#[derive(Debug)]
#[must_use = "nothing is flushed or freed before it is finished"]
pub struct MmuGather<'a> {
    space: &'a AddressSpace,
    gather: Gather<8>,
    freed: Freed,
}

impl<'a> MmuGather<'a> {
    /// Returns a gatherer that has nothing to flush.
    pub fn new(space: &'a AddressSpace) -> Self {
        Self {
            space,
            gather: Gather::new(space.pcid, LinearAddressWidth::Bits48),
            freed: Freed::default(),
        }
    }

    /// Unmaps a page, and keeps its frame.
    pub fn unmap(&mut self, address: u64) {
        if let Some(frame) = self.space.table.unmap(address) {
            self.gather.page(address, PageSize::Size4K);
            self.freed.pages.push(frame);
        }
    }

    /// Takes the frame of a page table that nothing refers to any more. A CPU may have cached the
    /// way through it.
    pub fn free_table(&mut self, table: Frame) {
        self.gather.tables_freed();
        self.freed.tables.push(table);
    }

    /// Flushes once, and frees pages and tables.
    pub fn finish(mut self, guard: &impl CpuGuard) {
        let cpu = PinnedCpu::from_guard(guard);
        let requests = self.gather.requests();
        // Called behind the fence that follows the page table's changes. The lock is held for a
        // copy.
        let targets = TargetFn(|_: &Domain<WORDS>| *self.space.cpus.lock(spin_loop));
        let flight = SHOOTDOWN.start(&cpu, requests, &targets, take(&mut self.freed));
        drop(flight.wait_or_leak(&cpu));
    }
}

impl Drop for MmuGather<'_> {
    fn drop(&mut self) {
        // Empty after `finish`. Otherwise nothing was flushed, so nothing may be freed.
        forget(take(&mut self.freed));
    }
}
