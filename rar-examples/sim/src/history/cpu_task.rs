//! One CPU of a history, which executes its operations.

mod changes;
mod presence;

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use rar_payload::{Request, TableOwner};
use rar_percpu::fake::pinned;
use rar_shootdown::{AllOnline, Machine as _};

use super::counts::count;
use super::layout::{KERNEL_PAGES, Slot};
use super::op::Op;
use super::stage::{Stage, TLB};
use crate::machine::{Machine, Member, Vector};
use crate::page_tables::Entry;
use crate::schedule::{alone, step};

/// One CPU.
pub(crate) struct CpuTask<'m> {
    stage: &'m Stage<'m>,
    cpu: u32,
    space: Cell<u8>,
    member: RefCell<Option<Member<'m, TLB>>>,
}

impl<'m> CpuTask<'m> {
    pub(crate) fn new(stage: &'m Stage<'m>, cpu: u32) -> Self {
        Self {
            stage,
            cpu,
            space: Cell::new(0),
            member: RefCell::new(None),
        }
    }

    /// Comes online, executes all operations, and serves others until all have ended.
    pub(crate) fn run<'o>(&self, ops: impl Iterator<Item = &'o Op>) {
        self.machine()
            .load_cr3(self.cpu, self.stage.world.offline_root);
        self.come_online();
        self.enter((self.cpu % 3) as u8);
        ops.for_each(|op| self.act(op));
        // After the first meeting no CPU sends an interrupt that flushes; at the second all have
        // handled theirs.
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
            Op::Clean { space, slot } => self.clean(space, slot),
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

    fn touch_some(&self, moments: u8) {
        let all: Vec<_> = Slot::all().collect();
        for slot in all.iter().cycle().take(usize::from(moments)) {
            self.touch(*slot, false);
        }
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

    fn wait(&self, moments: u8) {
        (0..moments).for_each(|_| self.machine().relax());
    }

    fn touch(&self, slot: Slot, write: bool) {
        // A fault is expected here: the page may be missing or read-only.
        let _faults = if write {
            self.machine().store(self.cpu, slot.address(), 1).err()
        } else {
            self.machine().load(self.cpu, slot.address()).err()
        };
    }
}
