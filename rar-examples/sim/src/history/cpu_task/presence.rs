//! The presence of a CPU: spaces, lazy mode, guests, hotplug, death.

use std::sync::atomic::{Ordering, fence};

use rar_payload::Request;
use rar_percpu::fake::pinned;
use rar_percpu::{CpuId, LifeCycleError, LocalTlb as _};

use super::CpuTask;
use crate::history::counts::count;
use crate::history::op::Reset;
use crate::history::try_lock::Held;

/// Bit 63 of a load of CR3: the cached translations of the new PCID stay.
const KEEP: u64 = 1 << 63;

impl<'m> CpuTask<'m> {
    pub(super) fn enter_lazy(&self) {
        let domain = self.stage.shootdown.domain();
        #[expect(unsafe_code, reason = "the kernel's promise of Domain::enter_lazy")]
        // SAFETY: no memory of the host depends on a simulated translation; the oracle checks that
        // the CPU keeps 1.
        unsafe {
            domain.enter_lazy(&pinned(self.cpu));
        }
        self.store_buffer_is_empty();
    }

    /// Falls back to lazy mode where the domain has no guest mode.
    pub(super) fn enter_guest(&self) {
        let domain = self.stage.shootdown.domain();
        #[expect(unsafe_code, reason = "the kernel's promise of Domain::enter_guest")]
        // SAFETY: as in `enter_lazy`.
        let entered = unsafe { domain.enter_guest(&pinned(self.cpu)) };
        match entered {
            Ok(()) => self.store_buffer_is_empty(),
            Err(_) => self.enter_lazy(),
        }
    }

    /// Drains the store buffer, as the driver's locked instruction does. The simulator sees that
    /// instruction only where it observes accesses.
    pub(super) fn store_buffer_is_empty(&self) {
        if cfg!(not(rar_observed)) {
            self.machine().drain_stores(self.cpu);
        }
    }

    pub(super) fn leave_lazy(&self) {
        let me = pinned(self.cpu);
        let domain = self.stage.shootdown.domain();
        if domain.leave_lazy(&me, self.machine()).flushed {
            count(&self.stage.counts.made_up);
        }
    }

    pub(super) fn die(&self, moments: u8) {
        let (cpu, machine) = (self.cpu, self.machine());
        let domain = self.stage.shootdown.domain();
        machine.die_for(cpu, moments);
        #[expect(unsafe_code, reason = "the kernel's promise of Domain::declare_dead")]
        // SAFETY: no memory of the host depends on a simulated translation; the oracle checks that
        // the CPU keeps 1. and 2.
        unsafe {
            domain.declare_dead(CpuId::new(cpu));
        }
        count(&self.stage.counts.dead);
        // Another CPU comes online in its place.
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

    /// Switches to a space. All changes of the space flush this CPU from before it can cache
    /// anything.
    pub(super) fn enter(&self, space: u8) {
        let own = self.stage.world.space(space);
        let _fits = own.cpus.insert(CpuId::new(self.cpu));
        fence(Ordering::SeqCst);
        self.machine()
            .load_cr3(self.cpu, KEEP | own.root | u64::from(own.pcid.get()));
        self.space.set(space);
    }

    pub(super) fn switch_and_forget(&self, space: u8) {
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
        // SAFETY: no memory of the host depends on a simulated translation; the oracle checks that
        // the CPU keeps 1. and 2.
        unsafe {
            old.cpus.remove(CpuId::new(self.cpu));
        }
    }

    pub(super) fn unplug(&self, moments: u8, reset: Reset) {
        let me = self.machine().cpu(self.cpu);
        me.set_interrupts(false);
        // This CPU uses no shared page table from here on.
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

    /// Runs the own space before coming online. While the result lives, others change the space but
    /// free none of its tables.
    pub(super) fn run_early(&self) -> Option<[Held<'m>; 2]> {
        let world = self.stage.world;
        let own = world.space(self.space.get());
        let kept = [own.lock.shared()?, world.kernel_lock.shared()?];
        self.machine()
            .load_cr3(self.cpu, own.root | u64::from(own.pcid.get()));
        Some(kept)
    }

    pub(super) fn come_online(&self) {
        match self.machine().join(self.cpu, self.stage.support) {
            Ok(member) => *self.member.borrow_mut() = Some(member),
            Err(error) => unreachable!("CPU {} does not come online: {error}", self.cpu),
        }
    }
}
