//! One CPU of a history: it carries out its part, operation by operation.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rar_payload::{PageRange, PageSize, Request, TableOwner};
use rar_percpu::fake::pinned;
use rar_percpu::{AtomicCpuSet, CpuId, CpuSet, Domain, LocalTlb as _};
use rar_regs::RarSupport;
use rar_shootdown::{Everyone, Machine as _, Shootdown, TargetSet};

use super::layout::{KERNEL_PAGES, PAGES, Slot, region_address};
use super::op::{Op, Reset};
use super::try_lock::Held;
use super::world::World;
use crate::machine::{Machine, Member, Vector};
use crate::page_tables::Entry;
use crate::schedule::step;

/// How many translations a CPU of a history caches: all that it can meet, so that nothing stale is evicted.
pub const TLB: usize = 128;

/// Bit 63 of a load of CR3: what is cached of the new PCID stays.
const KEEP: u64 = 1 << 63;

/// What the CPUs of a history have in common.
pub(crate) struct Stage<'m> {
    pub(crate) world: &'m World<'m>,
    pub(crate) machine: &'m Machine<'m, TLB>,
    pub(crate) shootdown: &'m Shootdown<'m, Machine<'m, TLB>>,
    pub(crate) support: Option<RarSupport>,
    pub(crate) counts: Counts,
}

/// How often things happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) flushes: AtomicU64,
    /// Flushes that returned an error.
    pub(crate) errors: AtomicU64,
    /// Operations of each kind.
    pub(crate) kinds: [AtomicU64; Op::KINDS],
    /// Operations that found what they needed taken.
    pub(crate) skipped: AtomicU64,
    /// Flushes from an interrupt whose CPU held slots.
    pub(crate) nested: AtomicU64,
    /// Ends of a deferral that flushed, since somebody had left the CPU alone.
    pub(crate) made_up: AtomicU64,
    /// CPUs that have done their part.
    done: AtomicU64,
    /// CPUs that have nothing left to handle either.
    idle: AtomicU64,
}

/// One CPU.
pub(crate) struct Actor<'m> {
    stage: &'m Stage<'m>,
    cpu: u32,
    space: Cell<u8>,
    member: RefCell<Option<Member<'m, TLB>>>,
}

/// The CPUs of two address spaces.
struct Either<'a>(&'a AtomicCpuSet, &'a AtomicCpuSet);

impl TargetSet for Either<'_> {
    fn snapshot(&self, _: &Domain<'_>) -> CpuSet {
        let mut both = self.0.snapshot();
        for cpu in self.1.snapshot().iter() {
            let _fits = both.insert(cpu);
        }
        both
    }
}

/// Remaps a global page: what the handler of the own interrupt does on each CPU.
pub(crate) fn on_own_interrupt(stage: &Stage<'_>, cpu: u32) {
    let page = u8::try_from(cpu % u32::from(KERNEL_PAGES)).unwrap_or(0);
    let state = stage.shootdown.domain().cpu(CpuId::new(cpu));
    if state.is_some_and(|state| state.slots_held().load(Ordering::Relaxed) > 0) {
        count(&stage.counts.nested);
    }
    stage.remap(
        cpu,
        &[(0, Slot::Kernel { page })],
        "a flush from an interrupt",
    );
}

fn count(events: &AtomicU64) {
    events.fetch_add(1, Ordering::Relaxed);
}

impl Stage<'_> {
    /// Returns what names a slot to the driver.
    fn request(&self, space: u8, first: Slot, count: u8) -> Option<Request> {
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

    /// Flushes; what is gone is free afterwards.
    fn flush(
        &self,
        cpu: u32,
        requests: &[Request],
        targets: &impl TargetSet,
        gone: &[u64],
        name: &str,
    ) -> bool {
        count(&self.counts.flushes);
        let me = pinned(cpu);
        let flushed = self.shootdown.flush(&me, requests, targets);
        self.end(flushed.is_ok(), gone, name)
    }

    /// After a flush that returned, what is gone is free.
    fn end(&self, returned: bool, gone: &[u64], name: &str) -> bool {
        if returned {
            gone.iter()
                .for_each(|frame| self.world.oracle.frees(*frame, name));
        } else {
            count(&self.counts.errors);
        }
        returned
    }

    fn skip(&self) {
        count(&self.counts.skipped);
    }

    /// Points a slot to a new frame and returns the old one; `None` if nothing can be or was mapped there.
    fn exchange(&self, space: u8, slot: Slot) -> Option<u64> {
        let place = self.world.place(space, slot)?;
        step();
        let new = self.world.new_leaf(slot);
        let old = Entry(self.machine.memory.exchange(place, new));
        let old = old.is_present().then(|| old.address())?;
        self.world.oracle.replaces(old);
        Some(old)
    }

    /// Points slots elsewhere, each of one space, under one flush.
    fn remap(&self, cpu: u32, slots: &[(u8, Slot)], name: &str) {
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
    fn flush_slots(
        &self,
        cpu: u32,
        slots: &[(u8, Slot)],
        requests: &[Request],
        gone: &[u64],
        name: &str,
    ) -> bool {
        let global = |(_, slot): &(u8, Slot)| matches!(slot, Slot::Kernel { .. });
        let (Some((first, _)), Some((last, _))) = (slots.first(), slots.last()) else {
            return true;
        };
        if slots.iter().any(global) {
            return self.flush(cpu, requests, &Everyone, gone, name);
        }
        let (first, last) = (self.world.space(*first), self.world.space(*last));
        self.flush(cpu, requests, &Either(&first.cpus, &last.cpus), gone, name)
    }
}

impl<'m> Actor<'m> {
    pub(crate) fn new(stage: &'m Stage<'m>, cpu: u32) -> Self {
        Self {
            stage,
            cpu,
            space: Cell::new(0),
            member: RefCell::new(None),
        }
    }

    /// Comes online, does everything, and answers others until all have done everything.
    pub(crate) fn run<'o>(&self, ops: impl Iterator<Item = &'o Op>) {
        self.machine()
            .load_cr3(self.cpu, self.stage.world.offline_root);
        self.come_online();
        self.enter((self.cpu % 3) as u8);
        ops.for_each(|op| self.act(op));
        // From the first meeting on nobody sends an interrupt that flushes; at the second all have handled those they got.
        self.meet(&self.stage.counts.done);
        while self.machine().cpu(self.cpu).interrupt_waits() {
            self.machine().relax();
        }
        self.meet(&self.stage.counts.idle);
    }

    fn meet(&self, arrived: &AtomicU64) {
        arrived.fetch_add(1, Ordering::AcqRel);
        while arrived.load(Ordering::Acquire) < u64::from(self.machine().cpus()) {
            self.machine().relax();
        }
    }

    fn machine(&self) -> &'m Machine<'m, TLB> {
        self.stage.machine
    }

    fn act(&self, op: &Op) {
        let (cpu, stage, world, machine) = (self.cpu, self.stage, self.stage.world, self.machine());
        let memory = &machine.memory;
        stage
            .counts
            .kinds
            .get(op.kind())
            .into_iter()
            .for_each(count);
        match *op {
            Op::Touch { slot, write } => self.touch(slot, write),
            Op::Sweep => Slot::all().for_each(|slot| self.touch(slot, false)),
            Op::Remap { space, slot } => stage.remap(cpu, &[(space, slot)], "a flush of one page"),
            Op::RemapMany {
                space,
                region,
                first,
                count,
            } => self.remap_many(space, region, first, count),
            Op::RemapTwo { space, other, slot } => {
                stage.remap(
                    cpu,
                    &[(space, slot), (other, slot)],
                    "a flush of two spaces",
                );
            }
            Op::RemapAtOnce {
                space,
                other,
                region,
            } => self.remap_at_once(space, other, region),
            Op::Unmap { space, slot } => {
                self.change(space, slot, "a flush of an unmapped page", |place| {
                    let old = Entry(memory.exchange(place, Entry::NONE.0));
                    let gone = old.is_present().then(|| old.address());
                    gone.iter().for_each(|frame| world.oracle.replaces(*frame));
                    gone
                });
            }
            Op::Revoke { space, slot } => self.revoke(space, slot),
            Op::FreeTable { space, region } => {
                self.change_table(
                    space,
                    region,
                    Entry::NONE.0,
                    "a flush of a freed page table",
                );
            }
            Op::Collapse { space, region } => self.collapse(space, region),
            Op::FreeKernelTable => {
                let Some(_held) = world.kernel_lock.exclusive() else {
                    return stage.skip();
                };
                step();
                let gone = world.replace_kernel_table(memory);
                let request = Request::TablesFreed(TableOwner::Kernel);
                stage.flush(
                    cpu,
                    &[request],
                    &Everyone,
                    &gone,
                    "a flush of the kernel's freed table",
                );
            }
            Op::Abandon { space, slot } => self.abandon(space, slot),
            Op::Switch { space } => self.enter(space),
            Op::SwitchAndForget { space } => self.switch_and_forget(space),
            Op::Idle { moments, halted } => {
                self.defer();
                if halted {
                    machine.halt_for(cpu, moments);
                } else {
                    // An idle loop uses kernel memory.
                    let pages = (0..moments).map(|moment| moment % KERNEL_PAGES);
                    pages.for_each(|page| self.touch(Slot::Kernel { page }, false));
                }
                self.resume();
            }
            Op::Guest { moments, deferred } => {
                if deferred {
                    self.defer();
                }
                machine.cpu(cpu).set_guest(true);
                self.wait(moments);
                machine.cpu(cpu).set_guest(false);
                if deferred {
                    self.resume();
                }
            }
            Op::InterruptsOff { moments } => {
                let all: Vec<_> = Slot::all().collect();
                machine.cpu(cpu).set_interrupts(false);
                for slot in all.iter().cycle().take(usize::from(moments)) {
                    self.touch(*slot, false);
                }
                machine.cpu(cpu).set_interrupts(true);
            }
            Op::Unplug { moments, reset } => self.unplug(moments, reset),
            Op::Interrupt { target } => {
                machine.send(u32::from(target) % machine.cpus(), Vector::Own);
            }
        }
    }

    fn defer(&self) {
        self.stage.shootdown.domain().defer(&pinned(self.cpu));
        if cfg!(not(rar_observed)) {
            // The locked instruction of `defer` does it, which is seen only where accesses are observed.
            self.machine().drain_stores(self.cpu);
        }
    }

    fn resume(&self) {
        let me = pinned(self.cpu);
        if self.stage.shootdown.domain().resume(&me, self.machine()) {
            count(&self.stage.counts.made_up);
        }
    }

    fn wait(&self, moments: u8) {
        (0..moments).for_each(|_| self.machine().relax());
    }

    fn touch(&self, slot: Slot, write: bool) {
        // A page that is not there, or not writable, is no matter here.
        let _faults = if write {
            self.machine().store(self.cpu, slot.address(), 1).err()
        } else {
            self.machine().load(self.cpu, slot.address()).err()
        };
    }

    /// Changes one leaf, flushes, and frees what the change took away.
    ///
    /// Returns whether the flush was made and returned.
    fn change(
        &self,
        space: u8,
        slot: Slot,
        name: &str,
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

    fn revoke(&self, space: u8, slot: Slot) {
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

    fn remap_many(&self, space: u8, region: u8, first: u8, count: u8) {
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

    fn remap_at_once(&self, space: u8, other: u8, region: u8) {
        let (stage, world, me) = (self.stage, self.stage.world, pinned(self.cpu));
        let (one, two) = (world.space(space), world.space(other));
        let (Some(_held), Some(_other_held)) = (one.lock.shared(), two.lock.shared()) else {
            return stage.skip();
        };
        if [one, two].iter().any(|own| own.table(region).is_none()) {
            return stage.skip();
        }
        let targets = Either(&one.cpus, &two.cpus);
        let start = |page| {
            let slot = Slot::Small { region, page };
            let requests = [space, other].map(|space| stage.request(space, slot, 1));
            let requests: Vec<_> = requests.into_iter().flatten().collect();
            let exchanged = [space, other].map(|space| stage.exchange(space, slot));
            let gone: Vec<_> = exchanged.into_iter().flatten().collect();
            count(&stage.counts.flushes);
            stage.shootdown.start(&me, &requests, &targets, gone)
        };
        let pending: Vec<_> = (0..PAGES).map(start).collect();
        for flush in pending {
            let waited = flush.wait();
            let gone = waited.as_deref().unwrap_or_default();
            stage.end(waited.is_ok(), gone, "a flush among several at once");
        }
    }

    /// Puts something else where a region's table is, flushes what freed tables need, and frees the table and its pages. Without a table
    /// the region gets one.
    fn change_table(&self, space: u8, region: u8, instead: u64, name: &str) {
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

    fn collapse(&self, space: u8, region: u8) {
        let instead = self.stage.world.new_leaf(Slot::Large);
        self.change_table(space, region, instead, "a flush of another page size");
    }

    fn abandon(&self, space: u8, slot: Slot) {
        let (stage, own) = (self.stage, self.stage.world.space(space));
        let Some(request) = stage.request(space, slot, 1) else {
            return stage.skip();
        };
        let me = pinned(self.cpu);
        drop(stage.shootdown.start(&me, &[request], &own.cpus, ()));
    }

    /// Runs a space from now on. Whoever changes it flushes this CPU, from before it could cache anything.
    fn enter(&self, space: u8) {
        let own = self.stage.world.space(space);
        let _fits = own.cpus.insert(CpuId::new(self.cpu));
        fence(Ordering::SeqCst);
        self.machine()
            .load_cr3(self.cpu, KEEP | own.root | u64::from(own.pcid.get()));
        self.space.set(space);
    }

    fn switch_and_forget(&self, space: u8) {
        let old = self.stage.world.space(self.space.get());
        self.enter(space);
        let new = self.stage.world.space(space);
        if new.pcid == old.pcid {
            return;
        }
        let request = Request::AddressSpace { pcid: old.pcid };
        for operation in request.operations() {
            if self.machine().flush(&pinned(self.cpu), &operation).is_err() {
                self.machine().flush_everything(&pinned(self.cpu));
            }
        }
        old.cpus.remove(CpuId::new(self.cpu));
    }

    fn unplug(&self, moments: u8, reset: Reset) {
        let me = self.machine().cpu(self.cpu);
        me.set_interrupts(false);
        // Nothing that others change is used from here on.
        self.machine()
            .load_cr3(self.cpu, self.stage.world.offline_root);
        let member = self.member.borrow_mut().take();
        if let Some(Err(error)) = member.map(|member| self.machine().leave(self.cpu, member)) {
            unreachable!("CPU {} stays online: {error}", self.cpu);
        }
        match reset {
            Reset::None => {}
            Reset::Init => me.with_unit(rar_model::RarUnit::init),
            Reset::Power => me.power_cycle(),
        }
        self.wait(moments);
        let _kept = self.run_early();
        self.come_online();
        me.set_interrupts(true);
        self.enter(self.space.get());
    }

    /// Runs the own space before coming online, as long as the result lives: others change it, but free none of its tables.
    fn run_early(&self) -> Option<[Held<'m>; 2]> {
        let world = self.stage.world;
        let own = world.space(self.space.get());
        let kept = [own.lock.shared()?, world.kernel_lock.shared()?];
        self.machine()
            .load_cr3(self.cpu, own.root | u64::from(own.pcid.get()));
        Some(kept)
    }

    fn come_online(&self) {
        match self.machine().join(self.cpu, self.stage.support) {
            Ok(member) => *self.member.borrow_mut() = Some(member),
            Err(error) => unreachable!("CPU {} does not come online: {error}", self.cpu),
        }
    }
}
