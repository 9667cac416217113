//! Changes of leaves, each with the flush that it needs.

use rar_payload::{PageRange, PageSize, Request};
use rar_percpu::{AtomicCpuSet, CpuId, CpuSet, Domain};
use rar_shootdown::{AllOnline, TargetSet};

use super::counts::count;
use super::layout::{KERNEL_PAGES, Slot};
use super::stage::Stage;
use crate::page_tables::Entry;
use crate::schedule::step;

/// The CPUs of two address spaces.
pub(super) struct Union<'a>(pub(super) &'a AtomicCpuSet, pub(super) &'a AtomicCpuSet);

impl TargetSet for Union<'_> {
    fn snapshot(&self, _: &Domain) -> CpuSet {
        let mut both = self.0.snapshot();
        for cpu in self.1.snapshot().iter() {
            let _fits = both.insert(cpu);
        }
        both
    }
}

/// Remaps a global page, as the handler of the own interrupt does on each CPU.
pub(crate) fn on_own_interrupt(stage: &Stage<'_>, cpu: u32) {
    let page = u8::try_from(cpu % u32::from(KERNEL_PAGES)).unwrap_or(0);
    if stage.shootdown.domain().holds_slots(CpuId::new(cpu)) {
        count(&stage.counts.nested);
    }
    stage.remap(
        cpu,
        &[(0, Slot::Kernel { page })],
        "a flush from an interrupt",
    );
}

impl Stage<'_> {
    /// Returns the request for `count` pages from a slot on.
    pub(super) fn request(&self, space: u8, first: Slot, count: u8) -> Option<Request> {
        let size = match first.size() {
            rar_model::PageSize::Size4K => PageSize::Size4K,
            rar_model::PageSize::Size2M => PageSize::Size2M,
            rar_model::PageSize::Size1G => PageSize::Size1G,
        };
        let range = PageRange::new(first.address(), u64::from(count), size).ok()?;
        Some(match first {
            Slot::Kernel { .. } => Request::GlobalPages { range },
            _ => Request::Pages {
                pcid: self.world.space(space).pcid,
                range,
            },
        })
    }

    /// Points a slot to a new frame and returns the old one; `None` if nothing was mapped there, or
    /// nothing can be.
    pub(super) fn exchange(&self, space: u8, slot: Slot) -> Option<u64> {
        let place = self.world.place(space, slot)?;
        step();
        let new = self.world.new_leaf(slot);
        let old = Entry(self.machine.memory.exchange(place, new));
        let old = old.is_present().then(|| old.address())?;
        self.world.oracle.replaces(old);
        Some(old)
    }

    /// Remaps slots, each of one space, under one flush.
    pub(super) fn remap(&self, cpu: u32, slots: &[(u8, Slot)], name: &'static str) {
        let world = self.world;
        let lock = |(space, slot): &(u8, Slot)| match slot {
            Slot::Kernel { .. } => world.kernel_lock.shared(),
            _ => world.space(*space).lock.shared(),
        };
        let Some(_held) = slots.iter().map(lock).collect::<Option<Vec<_>>>() else {
            return self.skip();
        };
        let mapped = |(space, slot): &(u8, Slot)| world.place(*space, *slot).is_some();
        if !slots.iter().all(mapped) {
            return self.skip();
        }
        let exchanged = slots
            .iter()
            .filter_map(|(space, slot)| self.exchange(*space, *slot));
        let gone: Vec<_> = exchanged.collect();
        let requests: Vec<_> = slots
            .iter()
            .filter_map(|(space, slot)| self.request(*space, *slot, 1))
            .collect();
        self.flush_slots(cpu, slots, &requests, &gone, name);
    }

    /// Flushes on the CPUs that may cache the slots, which are of one or two spaces, or global.
    pub(super) fn flush_slots(
        &self,
        cpu: u32,
        slots: &[(u8, Slot)],
        requests: &[Request],
        gone: &[u64],
        name: &'static str,
    ) -> bool {
        let global = |(_, slot): &(u8, Slot)| matches!(slot, Slot::Kernel { .. });
        let (Some((first, _)), Some((last, _))) = (slots.first(), slots.last()) else {
            return true;
        };
        if slots.iter().any(global) {
            return self.flush(cpu, requests, &AllOnline, gone, name);
        }
        let (first, last) = (self.world.space(*first), self.world.space(*last));
        self.flush(cpu, requests, &Union(&first.cpus, &last.cpus), gone, name)
    }
}
