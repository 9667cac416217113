//! Changes of page tables by one CPU, each with the flush that it needs.

use std::cell::Cell;

use rar_payload::{PageRange, PageSize, Request, TableOwner};
use rar_shootdown::AllOnline;

use super::CpuTask;
use crate::history::layout::{PAGES, Slot, region_address};
use crate::history::remap::Union;
use crate::history::stage::Flight;
use crate::page_tables::Entry;
use crate::schedule::step;

impl<'m> CpuTask<'m> {
    pub(super) fn remap_later(&self, space: u8, slot: Slot) {
        let (stage, world) = (self.stage, self.stage.world);
        let held = match slot {
            Slot::Kernel { .. } => world.kernel_lock.shared(),
            _ => world.space(space).lock.shared(),
        };
        let (Some(_held), Some(_place), Some(request)) = (
            held,
            world.place(space, slot),
            stage.request(space, slot, 1),
        ) else {
            return stage.skip();
        };
        let gone: Vec<_> = stage.exchange(space, slot).into_iter().collect();
        let name = "a flush that was queued";
        let flight = match slot {
            Slot::Kernel { .. } => stage.start(self.cpu, &[request], &AllOnline, gone, name),
            _ => {
                let targets = &world.space(space).cpus;
                stage.start(self.cpu, &[request], targets, gone, name)
            }
        };
        stage.queue(flight);
    }

    /// Changes one leaf, flushes, and frees what the change unmapped.
    ///
    /// Returns whether the flush was made and succeeded.
    pub(super) fn change(
        &self,
        space: u8,
        slot: Slot,
        name: &'static str,
        change: impl FnOnce(u64) -> Option<u64>,
    ) -> bool {
        let (stage, world) = (self.stage, self.stage.world);
        let lock = match slot {
            Slot::Kernel { .. } => &world.kernel_lock,
            _ => &world.space(space).lock,
        };
        let (Some(_held), Some(place), Some(request)) = (
            lock.shared(),
            world.place(space, slot),
            stage.request(space, slot, 1),
        ) else {
            stage.skip();
            return false;
        };
        step();
        let gone: Vec<_> = change(place).into_iter().collect();
        stage.flush_slots(self.cpu, &[(space, slot)], &[request], &gone, name)
    }

    pub(super) fn revoke(&self, space: u8, slot: Slot) {
        let oracle = &self.stage.world.oracle;
        let name = "a flush of a revoked right";
        let frame = Cell::new(None);
        let returned = self.change(space, slot, name, |place| {
            let old = Entry(self.machine().memory.clear(place, Entry::WRITABLE));
            if old.is_present() {
                oracle.revokes(old.address());
                frame.set(Some(old.address()));
            }
            None
        });
        if let Some(frame) = frame.get().filter(|_| returned) {
            oracle.is_read_only(frame, name);
        }
    }

    /// Clears the A and D bits of a page and flushes: each later use must set them again.
    pub(super) fn clean(&self, space: u8, slot: Slot) {
        let (oracle, memory) = (&self.stage.world.oracle, &self.machine().memory);
        let name = "a flush of cleared A and D bits";
        let cleared = Cell::new(None);
        let returned = self.change(space, slot, name, |place| {
            let entry = Entry(memory.load(place));
            if entry.is_present() {
                let number = oracle.clears_bits(entry.address());
                memory.clear(place, Entry::ACCESSED | Entry::DIRTY);
                cleared.set(Some((entry.address(), number)));
            }
            None
        });
        if let Some((frame, number)) = cleared.get().filter(|_| returned) {
            oracle.bits_are_flushed(frame, number, name);
        }
    }

    pub(super) fn remap_many(&self, space: u8, region: u8, first: u8, count: u8) {
        let (stage, world) = (self.stage, self.stage.world);
        let count = count.min(PAGES - first.min(PAGES - 1));
        let slot = |page| Slot::Small { region, page };
        let (Some(_held), Some(request)) = (
            world.space(space).lock.shared(),
            stage.request(space, slot(first), count),
        ) else {
            return stage.skip();
        };
        if world.place(space, slot(first)).is_none() {
            return stage.skip();
        }
        let pages = (first..first + count).map(slot);
        let gone: Vec<_> = pages
            .filter_map(|page| stage.exchange(space, page))
            .collect();
        let slots = [(space, slot(first))];
        stage.flush_slots(
            self.cpu,
            &slots,
            &[request],
            &gone,
            "a flush of several pages",
        );
    }

    pub(super) fn remap_at_once(&self, space: u8, other: u8, region: u8) {
        let (stage, world) = (self.stage, self.stage.world);
        let (one, two) = (world.space(space), world.space(other));
        let (Some(_held), Some(_other_held)) = (one.lock.shared(), two.lock.shared()) else {
            return stage.skip();
        };
        if [one, two].iter().any(|own| own.table(region).is_none()) {
            return stage.skip();
        }
        let targets = Union(&one.cpus, &two.cpus);
        let start = |page| {
            let slot = Slot::Small { region, page };
            let requests = [space, other].map(|space| stage.request(space, slot, 1));
            let requests: Vec<_> = requests.into_iter().flatten().collect();
            let exchanged = [space, other].map(|space| stage.exchange(space, slot));
            let gone: Vec<_> = exchanged.into_iter().flatten().collect();
            let name = "a flush among several at once";
            stage.start(self.cpu, &requests, &targets, gone, name)
        };
        let pending: Vec<_> = (0..PAGES).map(start).collect();
        for flight in pending {
            stage.wait(self.cpu, flight);
        }
    }

    /// Replaces a region's table by `instead`, flushes as freed tables need, and frees the table
    /// and its pages. A region without a table gets one.
    pub(super) fn change_table(&self, space: u8, region: u8, instead: u64, name: &'static str) {
        let (stage, own) = (self.stage, self.stage.world.space(space));
        let memory = &self.machine().memory;
        let Some(_held) = own.lock.exclusive() else {
            return stage.skip();
        };
        step();
        let had_table = own.table(region).is_some();
        let gone = stage.world.unhook(memory, own, region, instead);
        if !had_table {
            stage.world.hook_new_table(memory, own, region);
        }
        let request = if had_table {
            Request::TablesFreed(TableOwner::AddressSpace(own.pcid))
        } else {
            let region = PageRange::new(region_address(region), 1, PageSize::Size2M);
            region.map_or(Request::AddressSpace { pcid: own.pcid }, |range| {
                Request::Pages {
                    pcid: own.pcid,
                    range,
                }
            })
        };
        stage.flush(self.cpu, &[request], &own.cpus, &gone, name);
    }

    pub(super) fn collapse(&self, space: u8, region: u8) {
        let instead = self.stage.world.new_leaf(Slot::Large);
        self.change_table(space, region, instead, "a flush of another page size");
    }

    /// Starts a flush that nothing depends on.
    pub(super) fn start_one(&self, space: u8, slot: Slot) -> Option<Flight<'m>> {
        let (stage, own) = (self.stage, self.stage.world.space(space));
        let Some(request) = stage.request(space, slot, 1) else {
            stage.skip();
            return None;
        };
        let name = "a flush without a waiter";
        Some(stage.start(self.cpu, &[request], &own.cpus, Vec::new(), name))
    }
}
