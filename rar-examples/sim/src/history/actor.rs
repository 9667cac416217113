//! One CPU of a history: it carries out its part, operation by operation.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rar_payload::{PageRange, PageSize, Request, TableOwner};
use rar_percpu::fake::pinned;
use rar_percpu::{
    AtomicCpuSet, CpuId, CpuSet, DEFAULT_WORDS, Domain, LifeCycleError, LocalTlb as _,
};
use rar_regs::RarSupport;
use rar_shootdown::{AllOnline, Machine as _, Pending, Shootdown, TargetSet};

use super::layout::{KERNEL_PAGES, PAGES, Slot, region_address};
use super::op::{Op, Reset};
use super::try_lock::Held;
use super::world::World;
use crate::machine::{Machine, Member, Vector, lock};
use crate::page_tables::Entry;
use crate::schedule::{alone, step};

/// How many translations a CPU of a history caches: all that it can meet, so that nothing stale is evicted.
pub const TLB: usize = 128;

/// Bit 63 of a load of CR3: what is cached of the new PCID stays.
const KEEP: u64 = 1 << 63;

/// What the CPUs of a history have in common.
pub(crate) struct Stage<'m> {
    pub(crate) world: &'m World<'m>,
    pub(crate) machine: &'m Machine<'m, TLB>,
    pub(crate) shootdown: &'m SimShootdown<'m>,
    pub(crate) support: Option<RarSupport>,
    pub(crate) counts: Counts,
    /// Flushes that nobody waits for at this moment.
    pub(crate) queue: Mutex<Vec<ManuallyDrop<Flight<'m>>>>,
}

/// The driver of a history.
pub type SimShootdown<'m> = Shootdown<&'m Machine<'m, TLB>>;

/// A flush in flight that owns frames.
pub(crate) struct Flight<'m> {
    pending: Pending<'m, &'m Machine<'m, TLB>, Vec<u64>, DEFAULT_WORDS>,
    name: &'static str,
    /// Who started it.
    cpu: u32,
}

/// How often a flush is waited for until it counts as one that never ends.
const WAITS: usize = 40;

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
    /// Claims that found no free slot, and took over one that served nobody any more.
    pub(crate) taken_over: AtomicU64,
    /// Flushes that were ended by another CPU than the one that started them.
    pub(crate) ended_elsewhere: AtomicU64,
    /// Flushes whose value was forgotten.
    pub(crate) forgotten: AtomicU64,
    /// Flushes that never ended.
    pub(crate) stuck: AtomicU64,
    /// CPUs that were declared dead.
    pub(crate) dead: AtomicU64,
    /// Ends of lazy mode that flushed, since somebody had skipped the CPU.
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
    fn snapshot(&self, _: &Domain) -> CpuSet {
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
    if stage.shootdown.domain().holds_slots(CpuId::new(cpu)) {
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

impl<'m> Stage<'m> {
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

    /// Flushes; what is gone is free afterwards. A flush that fails is started anew and queued, with what is gone.
    fn flush(
        &self,
        cpu: u32,
        requests: &[Request],
        targets: &impl TargetSet,
        gone: &[u64],
        name: &'static str,
    ) -> bool {
        count(&self.counts.flushes);
        let flushed = self.shootdown.flush(&pinned(cpu), requests, targets);
        if flushed.is_err() {
            count(&self.counts.errors);
            self.queue(self.start(cpu, requests, targets, gone.to_vec(), name));
            return false;
        }
        self.free(gone, name);
        true
    }

    fn start(
        &self,
        cpu: u32,
        requests: &[Request],
        targets: &impl TargetSet,
        gone: Vec<u64>,
        name: &'static str,
    ) -> Flight<'m> {
        count(&self.counts.flushes);
        let pending = self.shootdown.start(&pinned(cpu), requests, targets, gone);
        Flight { pending, name, cpu }
    }

    /// Waits once; a flush that does not end is queued. Returns whether it ended.
    fn wait(&self, cpu: u32, flight: Flight<'m>) -> bool {
        let Flight {
            pending,
            name,
            cpu: starter,
        } = flight;
        match pending.wait(&pinned(cpu)) {
            Ok(gone) => {
                self.free(&gone, name);
                true
            }
            Err(late) => {
                count(&self.counts.errors);
                self.queue(Flight {
                    pending: late.pending,
                    name,
                    cpu: starter,
                });
                false
            }
        }
    }

    fn queue(&self, flight: Flight<'m>) {
        lock(&self.queue).push(ManuallyDrop::new(flight));
    }

    fn take_from_queue(&self) -> Option<Flight<'m>> {
        let mut queue = lock(&self.queue);
        let oldest = (!queue.is_empty()).then(|| queue.remove(0));
        oldest.map(ManuallyDrop::into_inner)
    }

    /// Looks once at the oldest flush of the queue.
    fn poll(&self, cpu: u32) {
        let Some(Flight {
            pending,
            name,
            cpu: starter,
        }) = self.take_from_queue()
        else {
            return self.skip();
        };
        match pending.try_wait(&pinned(cpu)) {
            Ok(gone) => {
                if starter != cpu {
                    count(&self.counts.ended_elsewhere);
                }
                self.free(&gone, name);
            }
            Err(pending) => self.queue(Flight {
                pending,
                name,
                cpu: starter,
            }),
        }
    }

    /// Ends every flush of the queue: by now all CPUs hear.
    fn empty_queue(&self, cpu: u32) {
        while let Some(Flight {
            mut pending, name, ..
        }) = self.take_from_queue()
        {
            for wait in 0.. {
                match pending.wait(&pinned(cpu)) {
                    Ok(gone) => {
                        self.free(&gone, name);
                        break;
                    }
                    Err(_) if wait == WAITS => {
                        count(&self.counts.stuck);
                        break;
                    }
                    Err(late) => pending = late.pending,
                }
            }
        }
    }

    /// After a flush that returned, what is gone is free.
    fn free(&self, gone: &[u64], name: &'static str) {
        gone.iter()
            .for_each(|frame| self.world.oracle.frees(*frame, name));
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
    fn remap(&self, cpu: u32, slots: &[(u8, Slot)], name: &'static str) {
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
        self.stage.empty_queue(self.cpu);
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
                    &AllOnline,
                    &gone,
                    "a flush of the kernel's freed table",
                );
            }
            Op::Abandon { space, slot } => drop(self.start_one(space, slot)),
            Op::Forget { space, slot } => {
                if let Some(flight) = self.start_one(space, slot) {
                    count(&stage.counts.forgotten);
                    std::mem::forget(flight);
                }
            }
            Op::Queue { space, slot } => self.remap_later(space, slot),
            Op::Poll => stage.poll(cpu),
            Op::Hold { slots, moments } => self.hold(slots, moments),
            Op::Deaf { moments, silent } => self.be_deaf(moments, silent),
            Op::Verify => self.verify(),
            Op::Die { moments } => self.die(moments),
            Op::Switch { space } => self.enter(space),
            Op::SwitchAndForget { space } => self.switch_and_forget(space),
            Op::Idle { moments, halted } => {
                self.enter_lazy();
                if halted {
                    machine.halt_for(cpu, moments);
                } else {
                    // An idle loop uses kernel memory.
                    let pages = (0..moments).map(|moment| moment % KERNEL_PAGES);
                    pages.for_each(|page| self.touch(Slot::Kernel { page }, false));
                }
                self.leave_lazy();
            }
            Op::Guest { moments, deferred } => {
                if deferred {
                    self.enter_guest();
                }
                machine.cpu(cpu).set_guest(true);
                self.wait(moments);
                machine.cpu(cpu).set_guest(false);
                if deferred {
                    self.leave_lazy();
                }
            }
            Op::InterruptsOff { moments } => {
                machine.cpu(cpu).set_interrupts(false);
                self.touch_some(moments);
                machine.cpu(cpu).set_interrupts(true);
            }
            Op::Unplug { moments, reset } => self.unplug(moments, reset),
            Op::Interrupt { target } => {
                machine.interrupt(u32::from(target) % machine.cpus(), Vector::Own);
            }
        }
    }

    fn enter_lazy(&self) {
        let domain = self.stage.shootdown.domain();
        #[expect(unsafe_code, reason = "the kernel's promise of Domain::enter_lazy")]
        // SAFETY: no memory of the host depends on a simulated translation; that the CPU keeps 1. the oracle judges.
        unsafe {
            domain.enter_lazy(&pinned(self.cpu));
        }
        self.store_buffer_is_empty();
    }

    /// Where the kernel cannot say that it runs a guest, it says that it uses no user memory.
    fn enter_guest(&self) {
        let domain = self.stage.shootdown.domain();
        #[expect(unsafe_code, reason = "the kernel's promise of Domain::enter_guest")]
        // SAFETY: as in `enter_lazy`.
        let entered = unsafe { domain.enter_guest(&pinned(self.cpu)) };
        match entered {
            Ok(()) => self.store_buffer_is_empty(),
            Err(_) => self.enter_lazy(),
        }
    }

    /// The locked instruction of the driver does it, which is seen only where accesses are observed.
    fn store_buffer_is_empty(&self) {
        if cfg!(not(rar_observed)) {
            self.machine().drain_stores(self.cpu);
        }
    }

    fn leave_lazy(&self) {
        let me = pinned(self.cpu);
        let domain = self.stage.shootdown.domain();
        if domain.leave_lazy(&me, self.machine()).flushed {
            count(&self.stage.counts.made_up);
        }
    }

    fn touch_some(&self, moments: u8) {
        let all: Vec<_> = Slot::all().collect();
        for slot in all.iter().cycle().take(usize::from(moments)) {
            self.touch(*slot, false);
        }
    }

    fn remap_later(&self, space: u8, slot: Slot) {
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

    fn hold(&self, slots: u8, moments: u8) {
        let domain = self.stage.shootdown.domain();
        let (claimed, taken_over) = alone(|| {
            let (free, _) = domain.free_and_quarantined_slots();
            let claimed = domain.claim(&pinned(self.cpu), usize::from(slots));
            let more = claimed.as_ref().map_or(0, |claimed| claimed.len());
            (claimed, more > free)
        });
        if claimed.is_none() {
            return self.stage.skip();
        }
        if taken_over {
            count(&self.stage.counts.taken_over);
        }
        self.wait(moments);
    }

    fn be_deaf(&self, moments: u8, silent: bool) {
        let vectors: &[Vector] = if silent {
            &[Vector::Signal, Vector::Fallback, Vector::Nmi]
        } else {
            &[Vector::Signal]
        };
        self.machine().set_deaf_to(self.cpu, vectors);
        self.touch_some(moments);
        self.wait(moments);
        self.wait(moments);
        self.machine().set_deaf_to(self.cpu, &[]);
    }

    fn verify(&self) {
        let Some(Member::Microcode(unit)) = &*self.member.borrow() else {
            return self.stage.skip();
        };
        if let Err(error) = unit.verify(&pinned(self.cpu), self.machine()) {
            unreachable!("CPU {} cannot verify its unit: {error}", self.cpu);
        }
    }

    fn die(&self, moments: u8) {
        let (cpu, machine) = (self.cpu, self.machine());
        let domain = self.stage.shootdown.domain();
        machine.die_for(cpu, moments);
        #[expect(unsafe_code, reason = "the kernel's promise of Domain::declare_dead")]
        // SAFETY: no memory of the host depends on a simulated translation; that the CPU keeps 1. and 2. the oracle judges.
        unsafe {
            domain.declare_dead(CpuId::new(cpu));
        }
        count(&self.stage.counts.dead);
        // Another CPU comes up in its place.
        let me = machine.cpu(cpu);
        me.set_interrupts(false);
        machine.load_cr3(cpu, self.stage.world.offline_root);
        me.set_dead(false);
        if let Err(error) = machine.register(cpu) {
            unreachable!("the number of CPU {cpu} is not free: {error}");
        }
        let former = self.member.borrow_mut().take();
        if let Some(left) = former.map(|member| machine.leave(cpu, member))
            && left != Err(LifeCycleError::Dead(CpuId::new(cpu)))
        {
            unreachable!("who drove CPU {cpu} before it died drives it still: {left:?}");
        }
        self.come_online();
        me.set_interrupts(true);
        self.enter(self.space.get());
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
        let (stage, world) = (self.stage, self.stage.world);
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
            let name = "a flush among several at once";
            stage.start(self.cpu, &requests, &targets, gone, name)
        };
        let pending: Vec<_> = (0..PAGES).map(start).collect();
        for flight in pending {
            stage.wait(self.cpu, flight);
        }
    }

    /// Puts something else where a region's table is, flushes what freed tables need, and frees the table and its pages. Without a table
    /// the region gets one.
    fn change_table(&self, space: u8, region: u8, instead: u64, name: &'static str) {
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

    /// Starts a flush that nothing depends on.
    fn start_one(&self, space: u8, slot: Slot) -> Option<Flight<'m>> {
        let (stage, own) = (self.stage, self.stage.world.space(space));
        let Some(request) = stage.request(space, slot, 1) else {
            stage.skip();
            return None;
        };
        let name = "a flush that nobody waits for";
        Some(stage.start(self.cpu, &[request], &own.cpus, Vec::new(), name))
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
        #[expect(unsafe_code, reason = "the kernel's promise of AtomicCpuSet::remove")]
        // SAFETY: no memory of the host depends on a simulated translation; that the CPU keeps 1. and 2. the oracle judges.
        unsafe {
            old.cpus.remove(CpuId::new(self.cpu));
        }
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
