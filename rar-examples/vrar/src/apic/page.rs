//! The guest's APIC in xAPIC mode: a page of registers.

use crate::apic::command::Command;
use crate::apic::real_apic::{DESTINATION_FORMAT, LOGICAL_DESTINATION, SPURIOUS, TASK_PRIORITY};
use crate::apic::register_effect::{RegisterEffect, Registers};
use crate::apic::registers::spurious_bits;
use crate::apic::{Apic, ApicMode};
use crate::processor::permissions::X2APIC_FIRST;

const ID: u32 = 0x20;
const END_OF_INTERRUPT: u32 = 0xb0;
const ERROR_STATUS: u32 = 0x280;
const COMMAND: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const SELF_INTERRUPT: u32 = 0x3f0;

impl Apic {
    /// Reads a register of the page. What does not exist reads zero. Outside of xAPIC mode there is
    /// no page, and nothing answers.
    pub(crate) fn read_page(&self, offset: u32, real: &impl Registers) -> u32 {
        if self.mode() != ApicMode::Xapic {
            return u32::MAX;
        }
        match offset & 0xff0 {
            ID => self.id() << 24,
            LOGICAL_DESTINATION => self.logical().destination,
            DESTINATION_FORMAT => self.logical().format,
            COMMAND => words(self.command()).0,
            COMMAND_HIGH => words(self.command()).1,
            SELF_INTERRUPT => 0,
            other => {
                let value = self.register(X2APIC_FIRST + other / 16, real);
                value.map_or(0, |value| words(value).0)
            }
        }
    }

    /// Writes a register of the page. What does not exist, or refuses the value, stays as it is; so
    /// does everything outside of xAPIC mode.
    pub(crate) fn write_page(
        &mut self,
        offset: u32,
        value: u32,
        real: &impl Registers,
    ) -> RegisterEffect {
        if self.mode() != ApicMode::Xapic {
            return RegisterEffect::Nothing;
        }
        let (low, high) = words(self.command());
        let offset = offset & 0xff0;
        match offset {
            LOGICAL_DESTINATION => self.logical_mut().destination = value & 0xff00_0000,
            DESTINATION_FORMAT => self.logical_mut().format = value | 0x0fff_ffff,
            COMMAND_HIGH => self.set_command(u64::from(value) << 32 | u64::from(low)),
            COMMAND => {
                self.set_command(u64::from(high) << 32 | u64::from(value));
                return RegisterEffect::Command(Command::from_xapic(high, value));
            }
            SELF_INTERRUPT => {}
            // The rest of the register is reserved, and ignored.
            TASK_PRIORITY => {
                let [priority, ..] = value.to_le_bytes();
                self.set_task_priority(priority);
            }
            SPURIOUS => {
                let value = u64::from(value & spurious_bits(real));
                return self
                    .write_register(X2APIC_FIRST + offset / 16, value, real)
                    .unwrap_or(RegisterEffect::Nothing);
            }
            // Any value will do, where an x2APIC wants zero.
            END_OF_INTERRUPT | ERROR_STATUS => {
                return self
                    .write_register(X2APIC_FIRST + offset / 16, 0, real)
                    .unwrap_or(RegisterEffect::Nothing);
            }
            _ => {
                return self
                    .write_register(X2APIC_FIRST + offset / 16, u64::from(value), real)
                    .unwrap_or(RegisterEffect::Nothing);
            }
        }
        RegisterEffect::Nothing
    }
}

fn words(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apic::command::{Destination, Mode};

    struct Nothing;

    impl Registers for Nothing {
        fn read(&self, _: u32) -> u32 {
            7
        }

        fn write(&self, _: u32, _: u32) {}
    }

    #[test]
    fn two_words_make_a_command() {
        let mut apic = Apic::new(3, 0xfee0_0800, 0, 0x1ff);
        assert_eq!(apic.read_page(0x20, &Nothing), 3 << 24);
        assert_eq!(
            apic.write_page(0x310, 0x0900_0000, &Nothing),
            RegisterEffect::Nothing
        );
        let RegisterEffect::Command(command) = apic.write_page(0x300, 0x300, &Nothing) else {
            panic!()
        };
        assert_eq!(
            (command.mode, command.destination),
            (Mode::RemoteAction, Destination::Physical(9))
        );
        assert_eq!(apic.read_page(0x300, &Nothing), 0x300);
        assert_eq!(apic.read_page(0x310, &Nothing), 0x0900_0000);
        assert_eq!(apic.read_page(0x30, &Nothing), 7);
        assert_eq!(apic.read_page(0x3f0, &Nothing), 0);
    }

    #[test]
    fn there_is_a_page_in_xapic_mode_only() {
        for base in [0xfee0_0000, 0xfee0_0c00] {
            let mut apic = Apic::new(3, base, 0, 0x1ff);
            assert_eq!(apic.read_page(0x20, &Nothing), u32::MAX);
            for offset in (0..0x1000).step_by(16) {
                let effect = apic.write_page(offset, 0x300, &Nothing);
                assert_eq!(effect, RegisterEffect::Nothing, "{offset:#x}");
            }
            assert_eq!(apic.command(), 0);
            assert_eq!(apic.spurious, 0x1ff);
        }
    }

    #[test]
    fn a_task_priority_is_the_low_byte() {
        let mut apic = Apic::new(0, 0xfee0_0800, 0, 0x1ff);
        apic.write_page(0x80, 0xffff_ff45, &Nothing);
        assert_eq!(apic.read_page(0x80, &Nothing), 0x45);
    }

    #[test]
    fn logical_addresses() {
        let mut apic = Apic::new(0, 0xfee0_0800, 0, 0x1ff);
        apic.write_page(0xd0, 0x0400_0000, &Nothing);
        assert!(apic.logical().is_named_by(0x0c) && !apic.logical().is_named_by(0x03));
        apic.write_page(0xe0, 0, &Nothing);
        apic.write_page(0xd0, 0x2400_0000, &Nothing);
        for (destination, named) in [(0x24, true), (0xf4, true), (0x14, false), (0x21, false)] {
            assert_eq!(
                apic.logical().is_named_by(destination),
                named,
                "{destination:#x}"
            );
        }
        // An end of interrupt with any value.
        apic.take(0x40, false);
        apic.accept(0x40);
        apic.write_page(0xb0, 5, &Nothing);
        apic.take(0x31, false);
        assert_eq!(apic.next(), Some(0x31));
    }
}
