//! Interrupt commands: to guests of the shim by message and call, to all others by the machine's
//! APIC.

use rar_model::{RarUnit, Sender};
use rar_vocabulary::{TraceLevel, UnitCounter};

use crate::apic::command::{Command, Destination, Mode};
use crate::apic::real_apic::RealApic;
use crate::cpu::Cpu;
use crate::guest::vcpu::Vcpu;
use crate::shim::Shim;
use crate::trace::tracer::About;
use crate::unit::offence::Offence;

/// The low word of the machine's command: level asserted.
const ASSERT: u32 = 1 << 14;
/// A non-maskable interrupt.
pub(crate) const NMI: u32 = 0x400 | ASSERT;
/// Polls, with a PAUSE between, of the targets of a request until they take it up: about as long as
/// all CPUs of a small machine need to have their turn. A longer wait only costs when two CPUs wait
/// for each other.
const TAKE_UP_POLLS: u32 = 16;

impl Shim {
    /// Has the CPU with this id look at what waits for it.
    pub(crate) fn call(&'static self, real: RealApic, id: u32) {
        if self.cpu(id).is_some_and(|cpu| cpu.mailbox.call()) {
            real.send(id, u32::from(self.config().kick_vector));
        }
    }

    /// Sends a command of the guest of `sender`.
    pub(crate) fn send(
        &'static self,
        real: RealApic,
        sender: &Cpu,
        own_id: u32,
        command: &Command,
    ) {
        if command.mode == Mode::RemoteAction && !command.is_known_request() {
            sender.record().offence(Offence::UnknownRequest);
            self.trace_offence(
                About::Cpu(own_id),
                Offence::UnknownRequest,
                format_args!(
                    "vector={:#x} why=\"{}\"",
                    command.vector,
                    command.oddity().unwrap_or("unknown")
                ),
            );
            return;
        }
        if command.mode == Mode::RemoteAction {
            sender.record().counts().add(UnitCounter::Commands);
        }
        if command.mode == Mode::Init && command.deasserted {
            return;
        }
        let mut reached = false;
        for (id, cpu) in self.cpus() {
            if !aims_at(command.destination, id, own_id, cpu) {
                continue;
            }
            reached = true;
            // The machine's own: the processor holds it back while the guest serves another.
            if command.mode == Mode::Nmi {
                real.send(id, NMI);
                continue;
            }
            let who = if id == own_id {
                Sender::Itself
            } else {
                Sender::Another
            };
            if self.post(sender, cpu, command, who) && id != own_id && cpu.mailbox.call() {
                real.send(id, u32::from(self.config().kick_vector));
            }
            if command.mode == Mode::LowestPriority {
                break;
            }
        }
        if command.mode == Mode::RemoteAction {
            self.let_take_up(command, own_id);
        }
        if let Destination::Physical(id) = command.destination
            && !reached
        {
            if command.mode == Mode::RemoteAction {
                self.trace(
                    TraceLevel::Signals,
                    About::Cpu(own_id),
                    format_args!("signal to={id} fate=dropped why=\"the shim has no such CPU\""),
                );
            }
            forward(real, id, command);
        }
    }

    /// Lets the targets serve a request before its sender goes on, as fast hardware does: a sender
    /// that arms too late is found out.
    fn let_take_up(&self, command: &Command, own_id: u32) {
        for (id, cpu) in self.cpus() {
            if id == own_id || !aims_at(command.destination, id, own_id, cpu) {
                continue;
            }
            for _ in 0..TAKE_UP_POLLS {
                if !cpu.unit().is_some_and(RarUnit::pending) {
                    break;
                }
                core::hint::spin_loop();
            }
        }
    }

    /// Leaves the message; returns whether the CPU must look.
    fn post(&self, from: &Cpu, cpu: &Cpu, command: &Command, sender: Sender) -> bool {
        match command.mode {
            Mode::RemoteAction => {
                let fate = cpu.signal(self.map(), sender);
                // Before the target is called, so that its lines come after this one.
                self.trace(
                    TraceLevel::Signals,
                    About::Cpu(from.apic_id()),
                    format_args!("signal to={} {fate}", cpu.apic_id()),
                );
                return fate.is_taken();
            }
            Mode::Fixed | Mode::LowestPriority => cpu.mailbox.post_vector(command.vector),
            Mode::Init => cpu.mailbox.post_init(),
            Mode::Startup => cpu.mailbox.post_startup(command.vector),
            Mode::Nmi | Mode::Smi | Mode::Reserved => return false,
        }
        true
    }
}

impl Vcpu<'_> {
    /// Sends what the guest has written to its interrupt command register.
    pub(crate) fn send(&mut self, command: &Command) {
        self.own
            .shim
            .send(self.own.real, self.cpu, self.own.apic.id(), command);
    }
}

/// Returns whether a command goes to the APIC with this id.
fn aims_at(destination: Destination, id: u32, own_id: u32, cpu: &Cpu) -> bool {
    match destination {
        Destination::LogicalByte(wanted) => cpu.mailbox.logical().is_named_by(wanted),
        other => is_named(other, id, own_id),
    }
}

fn is_named(destination: Destination, id: u32, own_id: u32) -> bool {
    match destination {
        Destination::Physical(wanted) => wanted == id,
        Destination::Broadcast | Destination::All => true,
        Destination::Own => id == own_id,
        Destination::Others => id != own_id,
        Destination::LogicalByte(_) => false,
        Destination::Logical(wanted) => {
            wanted >> 16 == id >> 4 && wanted & 1 << (id & 0xf) != 0 || wanted == u32::MAX
        }
    }
}

/// Sends to a CPU that is no guest: mostly INIT and start-up to one that has not been started.
fn forward(real: RealApic, id: u32, command: &Command) {
    let mode = match command.mode {
        Mode::Fixed | Mode::LowestPriority => 0,
        Mode::Nmi => 0x400,
        Mode::Init => 0x500,
        Mode::Startup => 0x600,
        Mode::RemoteAction | Mode::Smi | Mode::Reserved => return,
    };
    real.send(id, u32::from(command.vector) | mode | ASSERT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_and_shorthands() {
        let cluster = Destination::Logical(0x0001_8002);
        for (id, expected) in [(0x11, true), (0x1f, true), (0x10, false), (0x01, false)] {
            assert_eq!(is_named(cluster, id, 0), expected, "{id:#x}");
        }
        assert!(is_named(Destination::Physical(3), 3, 0));
        assert!(!is_named(Destination::Physical(3), 2, 0));
        assert!(is_named(Destination::Own, 5, 5) && !is_named(Destination::Own, 4, 5));
        assert!(!is_named(Destination::Others, 5, 5) && is_named(Destination::Others, 4, 5));
        assert!(is_named(Destination::All, 5, 5) && is_named(Destination::Broadcast, 4, 5));
    }
}
