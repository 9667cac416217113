//! What must be settled before the guest runs: messages, its RAR unit, and what is delivered to it.

use rar_model::Activity;

use crate::command::Command;
use crate::unit::Service;
use crate::vcpu::{State, Vcpu};
use crate::vmcb::{event, intercept_1, interrupt_control};
use crate::world;

const NMI: u8 = 2;
const FIRST_INTERRUPT: u8 = 32;

impl Vcpu<'_> {
    /// Stays in the host until the guest can run, then says what is delivered to it at the entry.
    pub(crate) fn prepare_entry(&mut self) {
        let held = loop {
            self.collect();
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
                world::halt(self.world);
            }
        };
        self.deliver(held == Service::HeldByFlag);
    }

    pub(crate) fn set_state(&mut self, state: State) {
        self.own.state = state;
        self.unit.set_activity(match state {
            State::Running => Activity::Running,
            State::Halted => Activity::Halted,
            State::WaitsForStartup | State::Gone => Activity::Inhibited,
        });
    }

    /// Takes what the machine and other CPUs have for this one.
    fn collect(&mut self) {
        self.cpu.mailbox.look();
        world::take(self.world);
        self.take_from_machine();
        self.own.apic.request(self.cpu.mailbox.take_vectors());
        self.own.nmi |= self.cpu.mailbox.take_nmi();
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
        let taken_here = |vector: u8| {
            taken
                .get(usize::from(vector / 64))
                .is_some_and(|word| word >> (vector % 64) & 1 != 0)
        };
        self.own.nmi |= taken_here(NMI);
        for vector in (FIRST_INTERRUPT..=u8::MAX).filter(|vector| taken_here(*vector)) {
            let real = self.own.real;
            if !real.in_service(vector) {
                if vector != crate::real_apic::SPURIOUS_VECTOR {
                    self.own.apic.take_external(vector);
                }
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
        self.own.nmi || (self.vmcb.interrupts_enabled() && self.own.apic.next().is_some())
    }

    /// Has this CPU leave its guest soon.
    fn call_self(&mut self) {
        let kick = u32::from(self.own.shim.config().kick_vector);
        self.own.real.send(self.own.real.id(), kick);
    }

    /// Chooses the event of the entry; what must wait for interrupts to be enabled opens a window.
    fn deliver(&mut self, mut window: bool) {
        let shadow = self.vmcb.in_shadow();
        self.vmcb.event = core::mem::take(&mut self.own.event);
        if self.own.nmi {
            if self.vmcb.event == 0 && !shadow {
                self.own.nmi = false;
                self.vmcb.event = event::NON_MASKABLE;
            } else {
                self.call_self();
            }
        }
        if let Some(vector) = self.own.apic.next() {
            if self.vmcb.event == 0 && self.vmcb.interrupts_enabled() && !shadow {
                self.own.apic.accept(vector);
                self.vmcb.event = event::interrupt(vector);
                window |= self.own.apic.next().is_some();
            } else {
                window = true;
            }
        }
        let class = u32::from(self.own.apic.task_priority() >> 4);
        let control = interrupt_control::V_INTR_MASKING | class;
        if window {
            self.vmcb.intercept_1 |= intercept_1::VINTR;
            self.vmcb.interrupt_control =
                control | interrupt_control::V_IRQ | interrupt_control::V_IGNORE_TPR;
        } else {
            self.vmcb.intercept_1 &= !intercept_1::VINTR;
            self.vmcb.interrupt_control = control;
        }
    }

    /// Sends what the guest has written to its interrupt command register.
    pub(crate) fn send(&mut self, command: &Command) {
        self.own
            .shim
            .send(self.own.real, self.cpu, self.own.apic.id(), command);
    }
}
