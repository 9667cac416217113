//! What happens on a CPU between two instructions: RAR signals, interrupts, speculation, stores
//! that leave the buffer.

use std::sync::atomic::Ordering;

use rar_model::{InterruptFlag, Invalidation, Leftovers, PhysicalMemory, Refused, Serviced, Tlb};
use rar_percpu::fake::pinned;

use super::{Cpu, Machine, Vector};
use crate::meter::Access;
#[cfg(rar_observed)]
use crate::schedule::alone;
use crate::schedule::{Boundary, yield_now};

impl<const TLB: usize> Boundary for Machine<'_, TLB> {
    fn deliver(&self, cpu: u32) {
        let _served = self.end_instruction(cpu);
    }

    #[cfg(rar_observed)]
    fn access(&self, cpu: u32, address: usize, access: Access) {
        self.meter().touch(cpu, address, access);
        alone(|| self.watch.accesses(cpu));
    }

    #[cfg(rar_observed)]
    fn drain(&self, cpu: u32) {
        self.drain_stores(cpu);
    }

    fn pauses(&self) -> bool {
        self.choice().u8(..) < self.config.preemption
    }
}

impl<const TLB: usize> Machine<'_, TLB> {
    /// Lets a moment pass on a halted CPU: only its unit may answer.
    pub(super) fn sleep(&self, cpu: u32) {
        yield_now();
        let _served = self.serve_unit(cpu, self.cpu(cpu));
    }

    /// Lets a CPU reach the end of an instruction: its unit answers, then it takes the interrupts
    /// that wait.
    ///
    /// Returns what the unit did. The scheduler calls it; tests that run no CPU call it themselves.
    pub fn end_instruction(&self, cpu: u32) -> Serviced {
        let me = self.cpu(cpu);
        if me.in_microcode.load(Ordering::Acquire) || me.is_dead() {
            return Serviced::Idle;
        }
        let served = self.serve_unit(cpu, me);
        self.act_unasked(cpu);
        self.take_nmi(cpu, me);
        if me.interrupts_on() && me.interrupt_waits() {
            self.take_interrupts(cpu, me);
        }
        served
    }

    fn serve_unit(&self, cpu: u32, me: &Cpu<TLB>) -> Serviced {
        me.with_unit(|unit| {
            if !unit.pending() {
                return Serviced::Idle;
            }
            let flag = if me.interrupts_on() {
                InterruptFlag::Set
            } else {
                InterruptFlag::Clear
            };
            me.in_microcode.store(true, Ordering::Release);
            let bus = Bus { machine: self, cpu };
            let mut tlb = UnitTlb { machine: self, cpu };
            let served =
                unit.service_recorded(flag, &bus, &mut tlb, &mut |execution| me.note(execution));
            me.in_microcode.store(false, Ordering::Release);
            served
        })
    }

    /// Takes an NMI. Its handler takes no interrupt, and may interrupt any other handler, or
    /// itself.
    fn take_nmi(&self, cpu: u32, me: &Cpu<TLB>) {
        if me.take_nmi() && !self.is_deaf_to(cpu, Vector::Nmi) {
            let before = me.set_interrupts(false);
            self.serve(cpu);
            me.set_interrupts(before);
        }
    }

    /// Serves the requests of other CPUs; the entries of the vector only if this CPU does not
    /// ignore signals.
    fn serve(&self, cpu: u32) {
        if self.is_deaf_to(cpu, Vector::Signal) {
            self.domain().complete_generation(&pinned(cpu), self);
        } else {
            let served = self.domain().answer(&pinned(cpu), self);
            self.promoted
                .fetch_add(u64::from(served.promoted), Ordering::Relaxed);
        }
    }

    /// An interrupt gate: the handlers run with interrupts disabled.
    fn take_interrupts(&self, cpu: u32, me: &Cpu<TLB>) {
        me.set_interrupts(false);
        // The exit from a guest, if one runs.
        let guest = me.is_in_guest();
        if guest {
            me.set_guest(false);
        }
        let taken = me.take_interrupts();
        let is = |vector: Vector| taken & vector as u32 != 0;
        let serves = |vector: Vector| !self.is_deaf_to(cpu, vector);
        if is(Vector::Signal) && serves(Vector::Signal) {
            self.serve(cpu);
        }
        if is(Vector::Fallback) && serves(Vector::Fallback) {
            self.serve(cpu);
        }
        if is(Vector::Own) {
            self.watch.own_interrupt(cpu);
        }
        if is(Vector::Bare) {
            me.bare_ipis.fetch_add(1, Ordering::AcqRel);
        }
        if guest {
            me.set_guest(true);
        }
        me.set_interrupts(true);
    }
}

/// Physical memory as the microcode of one CPU accesses it. At many accesses other CPUs may run.
struct Bus<'b, 'm, const TLB: usize> {
    machine: &'b Machine<'m, TLB>,
    cpu: u32,
}

impl<const TLB: usize> Bus<'_, '_, TLB> {
    fn touch<T>(&self, place: Option<&T>, access: Access) {
        if self.machine.pauses() {
            yield_now();
        }
        if let Some(place) = place {
            let address = std::ptr::from_ref(place).addr();
            self.machine.meter().touch(self.cpu, address, access);
            #[cfg(rar_observed)]
            alone(|| self.machine.watch.accesses(self.cpu));
        }
    }
}

impl<const TLB: usize> PhysicalMemory for Bus<'_, '_, TLB> {
    fn load_u8(&self, address: u64) -> u8 {
        let byte = self.machine.driver().action_byte(address);
        self.touch(byte, Access::Read);
        byte.map_or(u8::MAX, |byte| byte.load(Ordering::Acquire))
    }

    fn store_u8(&self, address: u64, value: u8) {
        let byte = self.machine.driver().action_byte(address);
        self.touch(byte, Access::Write);
        if let Some(byte) = byte {
            byte.store(value, Ordering::Release);
        }
    }

    fn load_u64(&self, address: u64) -> u64 {
        let word = self.machine.driver().payload_word(address);
        self.touch(word, Access::Read);
        word.map_or(u64::MAX, |word| word.load(Ordering::Relaxed))
    }
}

/// A CPU's TLB as its unit accesses it.
struct UnitTlb<'b, 'm, const TLB: usize> {
    machine: &'b Machine<'m, TLB>,
    cpu: u32,
}

impl<const TLB: usize> Tlb for UnitTlb<'_, '_, TLB> {
    fn cr3(&self) -> u64 {
        self.machine.cpu(self.cpu).with_tlb(|tlb| tlb.cr3())
    }

    fn vpid(&self) -> u16 {
        self.machine.cpu(self.cpu).vpid()
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        self.invalidate_leaving(invalidation, Leftovers::NONE)
    }

    fn invalidate_leaving(
        &mut self,
        invalidation: Invalidation,
        leftovers: Leftovers,
    ) -> Result<(), Refused> {
        yield_now();
        self.machine.watch.invalidates(self.cpu);
        self.machine.invalidate(self.cpu, invalidation, leftovers)
    }

    fn drain_stores(&mut self) {
        self.machine.drain_stores(self.cpu);
    }
}
