//! The registers of the guest's APIC, by their numbers in an x2APIC.

use crate::apic::command::Command;
use crate::apic::real_apic;
use crate::apic::register_effect::{Refused, RegisterEffect, Registers};
use crate::apic::{Apic, ApicMode};
use crate::processor::permissions::X2APIC_FIRST;

/// Register numbers: the offset in the page, divided by 16.
mod register {
    pub(super) const ID: u32 = 0x02;
    pub(super) const VERSION: u32 = 0x03;
    pub(super) const TASK_PRIORITY: u32 = 0x08;
    pub(super) const PROCESSOR_PRIORITY: u32 = 0x0a;
    pub(super) const END_OF_INTERRUPT: u32 = 0x0b;
    pub(super) const LOGICAL_DESTINATION: u32 = 0x0d;
    pub(super) const SPURIOUS: u32 = 0x0f;
    pub(super) const IN_SERVICE: u32 = 0x10;
    pub(super) const TRIGGER_MODE: u32 = 0x18;
    pub(super) const REQUESTED: u32 = 0x20;
    pub(super) const ERROR_STATUS: u32 = 0x28;
    pub(super) const COMMAND: u32 = 0x30;
    pub(super) const LOCAL_FIRST: u32 = 0x32;
    pub(super) const LOCAL_LAST: u32 = 0x37;
    pub(super) const INITIAL_COUNT: u32 = 0x38;
    pub(super) const CURRENT_COUNT: u32 = 0x39;
    pub(super) const DIVIDE: u32 = 0x3e;
    pub(super) const SELF_INTERRUPT: u32 = 0x3f;
}

/// In the version: an end of interrupt need not go to the I/O APICs.
const HAS_DIRECTED_ENDS: u32 = 1 << 24;
/// Vector, software enable, focus checking.
const SPURIOUS_BITS: u32 = 0x3ff;
/// In the spurious register: ends are not broadcast, the guest tells the I/O APIC itself.
const DIRECTED_ENDS: u32 = 1 << 12;

impl Apic {
    /// Reads a register of an x2APIC.
    pub(crate) fn read(&self, msr: u32, real: &impl Registers) -> Result<u64, Refused> {
        if self.mode() != ApicMode::X2apic {
            return Err(Refused);
        }
        self.register(msr, real)
    }

    /// Reads a register by its number in an x2APIC, whatever the mode.
    pub(crate) fn register(&self, msr: u32, real: &impl Registers) -> Result<u64, Refused> {
        let number = msr.wrapping_sub(X2APIC_FIRST);
        Ok(u64::from(match number {
            register::ID => self.id(),
            register::TASK_PRIORITY => u32::from(self.task_priority),
            register::PROCESSOR_PRIORITY => {
                let class = self.priority_class();
                let task = self.task_priority;
                u32::from(if task >> 4 == class { task } else { class << 4 })
            }
            register::LOGICAL_DESTINATION => self.logical_id(),
            register::SPURIOUS => self.spurious,
            register::IN_SERVICE..register::TRIGGER_MODE => {
                self.in_service.word(number - register::IN_SERVICE)
            }
            register::TRIGGER_MODE..register::REQUESTED => {
                self.trigger_mode.word(number - register::TRIGGER_MODE)
            }
            register::REQUESTED..register::ERROR_STATUS => {
                self.requested.word(number - register::REQUESTED)
            }
            register::ERROR_STATUS => 0,
            register::COMMAND => return Ok(self.command()),
            register::VERSION
            | register::LOCAL_FIRST..=register::LOCAL_LAST
            | register::INITIAL_COUNT
            | register::CURRENT_COUNT
            | register::DIVIDE => real.read(number << 4),
            _ => return Err(Refused),
        }))
    }

    /// Keeps the value, and has the machine's APIC broadcast its ends or not.
    fn set_spurious(&mut self, value: u32, real: &impl Registers) {
        self.spurious = value;
        if spurious_bits(real) & DIRECTED_ENDS != 0 {
            let own = real_apic::SPURIOUS_OPEN | value & DIRECTED_ENDS;
            real.write(register::SPURIOUS << 4, own);
        }
    }

    /// Writes a register of an x2APIC.
    pub(crate) fn write(
        &mut self,
        msr: u32,
        value: u64,
        real: &impl Registers,
    ) -> Result<RegisterEffect, Refused> {
        if self.mode() != ApicMode::X2apic {
            return Err(Refused);
        }
        self.write_register(msr, value, real)
    }

    /// Writes a register by its number in an x2APIC, whatever the mode.
    pub(crate) fn write_register(
        &mut self,
        msr: u32,
        value: u64,
        real: &impl Registers,
    ) -> Result<RegisterEffect, Refused> {
        let number = msr.wrapping_sub(X2APIC_FIRST);
        if number == register::COMMAND {
            let command = Command::from_x2apic(value).ok_or(Refused)?;
            self.set_command(value);
            return Ok(RegisterEffect::Command(command));
        }
        let value = u32::try_from(value).map_err(|_| Refused)?;
        match number {
            register::TASK_PRIORITY => self.task_priority = byte(value)?,
            register::END_OF_INTERRUPT if value == 0 => return Ok(self.end()),
            register::SPURIOUS if value & !spurious_bits(real) == 0 => {
                self.set_spurious(value, real);
            }
            register::ERROR_STATUS if value == 0 => {}
            register::SELF_INTERRUPT => return Ok(RegisterEffect::SelfInterrupt(byte(value)?)),
            register::LOCAL_FIRST..=register::LOCAL_LAST
            | register::INITIAL_COUNT
            | register::DIVIDE => real.write(number << 4, value),
            _ => return Err(Refused),
        }
        Ok(RegisterEffect::Nothing)
    }
}

/// Returns the bits that the register can have: that of directed ends only where the version shows
/// them.
pub(crate) fn spurious_bits(real: &impl Registers) -> u32 {
    if real.read(register::VERSION << 4) & HAS_DIRECTED_ENDS != 0 {
        SPURIOUS_BITS | DIRECTED_ENDS
    } else {
        SPURIOUS_BITS
    }
}

fn byte(value: u32) -> Result<u8, Refused> {
    u8::try_from(value).map_err(|_| Refused)
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;
    use crate::apic::test_machine::{machine, x2apic};

    /// Remembers the spurious register, and knows directed ends.
    struct Directed(Cell<u32>);

    impl Registers for Directed {
        fn read(&self, offset: u32) -> u32 {
            if offset == 0x30 { 0x0105_0015 } else { 0 }
        }

        fn write(&self, offset: u32, value: u32) {
            assert_eq!(offset, 0xf0);
            self.0.set(value);
        }
    }

    #[test]
    fn ends_are_directed_where_the_machine_knows_them() {
        let mut apic = x2apic(0);
        assert_eq!(apic.write(0x80f, 0x11ff, &machine()), Err(Refused));
        let directed = Directed(Cell::new(0));
        apic.write(0x80f, 0x1142, &directed).unwrap();
        assert_eq!(apic.read(0x80f, &directed), Ok(0x1142));
        assert_eq!(directed.0.get(), 0x11ff);
        apic.write(0x80f, 0x142, &directed).unwrap();
        assert_eq!(directed.0.get(), 0x1ff);
    }

    #[test]
    fn registers_and_refusals() {
        let mut apic = x2apic(0x25);
        assert_eq!(apic.read(0x802, &machine()), Ok(0x25));
        assert_eq!(apic.read(0x80d, &machine()), Ok(0x2_0020));
        let machine = machine();
        apic.write(0x832, 0x1_0030, &machine).unwrap();
        assert_eq!(apic.read(0x832, &machine), Ok(0x1_0030));
        let icr = 7 << 32 | 0x300;
        let command = Command::from_x2apic(icr).unwrap();
        assert_eq!(
            apic.write(0x830, icr, &machine),
            Ok(RegisterEffect::Command(command))
        );
        assert_eq!(apic.read(0x830, &machine), Ok(icr));
        assert_eq!(apic.write(0x830, 1 << 12, &machine), Err(Refused));
        assert_eq!(
            apic.write(0x83f, 0x41, &machine),
            Ok(RegisterEffect::SelfInterrupt(0x41))
        );
        for (msr, value) in [
            (0x802, 1),
            (0x808, 0x100),
            (0x80b, 1),
            (0x80d, 0),
            (0x80f, 0x1_0000),
            (0x810, 0),
            (0x831, 0),
            (0x839, 0),
            (0x8ff, 0),
            (0x832, 1 << 32),
        ] {
            assert_eq!(apic.write(msr, value, &machine), Err(Refused), "{msr:#x}");
        }
        for msr in [0x800, 0x80b, 0x80e, 0x831, 0x83f, 0x840] {
            assert_eq!(apic.read(msr, &machine), Err(Refused), "{msr:#x}");
        }
    }
}
