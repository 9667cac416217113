//! What an access to a register of the APIC comes to.

use crate::apic::command::Command;

/// A register access that raises #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// What a register write asks of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterEffect {
    Nothing,
    /// Level-triggered interrupts have ended: the machine's APIC gets this many ends.
    EndsAtMachine(u32),
    /// An interrupt command is sent.
    Command(Command),
    /// An interrupt to the CPU itself.
    SelfInterrupt(u8),
}

/// The registers that stay the machine's own.
pub(crate) trait Registers {
    fn read(&self, offset: u32) -> u32;
    fn write(&self, offset: u32, value: u32);
}
