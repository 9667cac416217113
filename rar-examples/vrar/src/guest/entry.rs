//! What must be settled before the guest runs: messages, its RAR unit, and what is delivered to it.

use rar_model::Activity;

use crate::apic::send::NMI;
use crate::apic::vectors::Vectors;
use crate::guest::vcpu::{Offered, State, Vcpu};
use crate::legacy::pics::Line;
use crate::processor::vmcb::{EXIT_IRET, INTERCEPT_CR8_WRITE, intercept_1, interrupt_control};
use crate::processor::world;
use crate::unit::Service;

/// The vector of non-maskable interrupts.
const NMI_VECTOR: u8 = 2;

impl Vcpu<'_> {
    /// Stays in the host until the guest can run, then says what is delivered to it at the entry.
    pub(crate) fn prepare_entry(&mut self) {
        let held = loop {
            self.collect();
            self.trace_counts();
            match self.own.state {
                State::Gone => {}
                State::WaitsForStartup => self.try_startup(),
                State::Running | State::Halted => {
                    let service = self.serve();
                    if service == Service::Woken || self.is_woken() {
                        self.set_state(State::Running);
                    }
                    if service == Service::Later {
                        self.call_self();
                    }
                    if self.own.state == State::Running {
                        break service;
                    }
                }
            }
            if self.own.state != State::Running {
                self.trace_rest();
                world::halt(self.world);
            }
        };
        self.choose_memory();
        self.trace_run();
        self.deliver(held == Service::HeldByFlag);
    }

    pub(crate) fn set_state(&mut self, state: State) {
        self.own.state = state;
        self.cpu
            .set_waits_for_startup(state == State::WaitsForStartup);
        self.unit.set_activity(match state {
            State::Running => Activity::Running,
            State::Halted => Activity::Halted,
            State::WaitsForStartup | State::Gone => Activity::Inhibited,
        });
    }

    /// Takes what the machine and other CPUs have for this one.
    fn collect(&mut self) {
        world::take(self.world);
        self.take_from_machine();
        // After the call was taken: a call that comes from here on is one to be taken.
        self.cpu.mailbox.look();
        self.own.apic.request(self.cpu.mailbox.take_vectors());
        if self.cpu.mailbox.take_init() {
            self.init();
        }
    }

    /// Acknowledges what the host has taken, and requests it in the guest's APIC.
    fn take_from_machine(&mut self) {
        let taken = core::mem::take(&mut self.world.taken);
        if taken == [0; 4] {
            return;
        }
        let kick = self.own.shim.config().kick_vector;
        let mut taken = Vectors::from(taken);
        while let Some(vector) = taken.highest() {
            taken.remove(vector);
            if vector == NMI_VECTOR {
                self.own.nmi = true;
                continue;
            }
            // Both controllers may have given the same vector.
            if let Some(line) = Line::of_vector(vector) {
                self.take_external(line);
            }
            let real = self.own.real;
            // What is in service is not delivered again.
            if !real.in_service(vector) || self.own.apic.levels.contains(vector) {
                continue;
            }
            let level = real.is_level(vector);
            if !level {
                real.end_of_interrupt();
            }
            if vector != kick {
                self.own.apic.take(vector, level);
            }
        }
    }

    /// Returns whether something ends the guest's halt.
    fn is_woken(&self) -> bool {
        let waits = || self.own.apic.next().is_some() || self.external_waits();
        self.own.nmi || (self.vmcb.interrupts_enabled() && waits())
    }

    /// Has this CPU leave its guest soon.
    fn call_self(&mut self) {
        let kick = u32::from(self.own.shim.config().kick_vector);
        self.own.real.send(self.own.real.id(), kick);
    }

    /// Chooses the event of the entry and offers an interrupt; `window` wants the guest left when
    /// it enables interrupts.
    ///
    /// An interrupt is never the event of an entry: QEMU (7.2, also 10.0) delivers that a second
    /// time if its main loop is called before the guest's next exception.
    fn deliver(&mut self, window: bool) {
        self.vmcb.event = core::mem::take(&mut self.own.event);
        // Taken by the host, so that the guest served none. Sent again, it is the guest's: until
        // the guest executes IRET the processor holds the next one back.
        if core::mem::take(&mut self.own.nmi) {
            self.own.real.send(self.own.real.id(), NMI);
        }
        let class = u32::from(self.own.apic.task_priority() >> 4);
        let mut control = interrupt_control::V_INTR_MASKING | class;
        self.offer();
        if window || self.own.offered.is_some() {
            control |= interrupt_control::V_IRQ | interrupt_control::V_IGNORE_TPR;
        }
        self.vmcb.interrupt_control = control;
        // QEMU 7.2 ends itself at a write of CR8 under V_IRQ.
        let offers = control & interrupt_control::V_IRQ != 0;
        self.vmcb.intercept_cr = if offers || self.own.apic.heeds_task_priority() {
            INTERCEPT_CR8_WRITE
        } else {
            0
        };
        if window {
            self.vmcb.intercept_1 |= intercept_1::VINTR;
        } else {
            self.vmcb.intercept_1 &= !intercept_1::VINTR;
        }
    }
    /// Offers the interrupt that the guest takes next; the legacy controllers' have no priority and
    /// come first.
    fn offer(&mut self) {
        let apic = self.own.apic.next();
        let external = self.next_external();
        let offered = external
            .map(|(line, vector)| (Offered::External(line), vector))
            .or(apic.map(|vector| (Offered::Apic(vector), vector)));
        self.own.offered = offered.map(|(offered, _)| offered);
        if let Some((_, vector)) = offered {
            self.vmcb.interrupt_vector = u32::from(vector);
        }
        // Behind one of the local APIC nothing comes before its end, which leaves the guest, and so
        // does the end of a legacy one, if it has an end. Where the next IRET stands the guest goes
        // on, or it would not come any further.
        let waits = external.is_some() && (apic.is_some() || self.external_ends_by_itself());
        if waits && self.vmcb.exit_code != EXIT_IRET {
            self.vmcb.intercept_1 |= intercept_1::IRET;
        } else {
            self.vmcb.intercept_1 &= !intercept_1::IRET;
        }
    }
}
