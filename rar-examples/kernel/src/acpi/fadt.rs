//! What a kernel reads in the FADT: the power management timer, the reset register, the register
//! that turns the machine off (ACPI 6.5, "Fixed ACPI Description Table", "Power Management Timer",
//! "Reset Register", "PM1 Control Registers").

use crate::little_endian::{number, number32};

/// The power management timer: a counter of at least 24 bits at 3.579545 MHz behind an I/O port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmTimer {
    /// The I/O port of the counter.
    pub port: u16,
}

impl PmTimer {
    /// Ticks in a second.
    pub const FREQUENCY: u64 = 3_579_545;
    /// The bits every implementation has.
    pub const MASK: u32 = 0x00ff_ffff;
}

/// Returns the timer that a FADT (the whole table, header included) names, if it has one in I/O
/// space.
#[must_use]
pub fn read_pm_timer(table: &[u8]) -> Option<PmTimer> {
    let port = u16::try_from(number32(table, 76)?).ok()?;
    let length = *table.get(91)?;
    (port != 0 && length == 4).then_some(PmTimer { port })
}

/// Where a register lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In memory, at this physical address.
    Memory(u64),
    /// Behind an I/O port.
    Port(u16),
    /// In the configuration space of a function on PCI bus 0.
    Pci {
        /// The device.
        device: u8,
        /// The function.
        function: u8,
        /// The register.
        offset: u8,
    },
}

/// How a machine is reset: one byte to one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetRegister {
    /// Where the byte goes.
    pub place: Place,
    /// The byte.
    pub value: u8,
}

/// Bit 10 of the FADT's flags: there is a reset register.
const RESET_SUPPORTED: u32 = 1 << 10;
/// Spaces of a generic address.
const SPACE_MEMORY: u8 = 0;
const SPACE_PORTS: u8 = 1;
const SPACE_PCI: u8 = 2;

/// Returns the reset register that a FADT (the whole table, header included) names, if it says that
/// there is one.
#[must_use]
pub fn read_reset_register(table: &[u8]) -> Option<ResetRegister> {
    if number32(table, 112)? & RESET_SUPPORTED == 0 {
        return None;
    }
    let (space, address) = (*table.get(116)?, number(table, 120, 8)?);
    let value = *table.get(128)?;
    let place = match space {
        SPACE_MEMORY => Place::Memory(address),
        SPACE_PORTS => Place::Port(u16::try_from(address).ok()?),
        SPACE_PCI => Place::Pci {
            device: u8::try_from(address >> 32 & 0xffff)
                .ok()
                .filter(|device| *device < 32)?,
            function: u8::try_from(address >> 16 & 0xffff)
                .ok()
                .filter(|function| *function < 8)?,
            offset: u8::try_from(address & 0xffff).ok()?,
        },
        _ => return None,
    };
    (address != 0).then_some(ResetRegister { place, value })
}

/// Bit 19 of the FADT's flags: interrupts go to physical destinations only (ACPI 6.5, "Fixed ACPI
/// Description Table Feature Flags", FORCE_APIC_PHYSICAL_DESTINATION_MODE).
const PHYSICAL_DESTINATIONS: u32 = 1 << 19;

/// Returns whether a FADT (the whole table, header included) demands that interrupts are sent to
/// physical destinations.
#[must_use]
pub fn demands_physical_destinations(table: &[u8]) -> bool {
    number32(table, 112).is_some_and(|flags| flags & PHYSICAL_DESTINATIONS != 0)
}

/// Returns the I/O port of the first power management control register, which puts a machine to
/// sleep.
#[must_use]
pub fn read_pm1_control(table: &[u8]) -> Option<u16> {
    u16::try_from(number32(table, 64)?)
        .ok()
        .filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_reset(space: u8, address: u64) -> Vec<u8> {
        let mut table = vec![0; 244];
        table[112..116].copy_from_slice(&RESET_SUPPORTED.to_le_bytes());
        table[116] = space;
        table[120..128].copy_from_slice(&address.to_le_bytes());
        table[128] = 6;
        table
    }

    #[test]
    fn a_reset_register_lies_in_one_of_three_spaces() {
        for (space, address, place) in [
            (0, 0xfed0_0000, Place::Memory(0xfed0_0000)),
            (1, 0xcf9, Place::Port(0xcf9)),
            (
                2,
                0x001f_0003_0044,
                Place::Pci {
                    device: 31,
                    function: 3,
                    offset: 0x44,
                },
            ),
        ] {
            let expected = ResetRegister { place, value: 6 };
            assert_eq!(
                read_reset_register(&with_reset(space, address)),
                Some(expected)
            );
        }
    }

    #[test]
    fn a_reset_register_that_cannot_be_is_none() {
        let mut unsupported = with_reset(1, 0xcf9);
        unsupported[113] = 0;
        for table in [
            unsupported,
            with_reset(1, 0x1_0cf9),
            with_reset(1, 0),
            with_reset(2, 0x0020_0000_0044),
            with_reset(2, 0x0001_0008_0044),
            with_reset(2, 0x0001_0001_0100),
            with_reset(3, 0xcf9),
            with_reset(1, 0xcf9)[..128].to_vec(),
        ] {
            assert_eq!(read_reset_register(&table), None);
        }
    }

    #[test]
    fn only_flag_19_demands_physical_destinations() {
        let mut table = vec![0xff; 116];
        assert!(demands_physical_destinations(&table));
        table[114] = 0xf7;
        assert!(!demands_physical_destinations(&table));
        assert!(!demands_physical_destinations(&[0xff; 115]));
    }

    #[test]
    fn the_control_register_is_a_port() {
        let mut table = vec![0; 116];
        assert_eq!(read_pm1_control(&table), None);
        table[64..68].copy_from_slice(&0x604_u32.to_le_bytes());
        assert_eq!(read_pm1_control(&table), Some(0x604));
        assert_eq!(read_pm1_control(&table[..60]), None);
    }

    #[test]
    fn a_timer_needs_a_port_and_four_bytes() {
        let mut table = vec![0; 116];
        assert_eq!(read_pm_timer(&table), None);
        table[76..80].copy_from_slice(&0x608_u32.to_le_bytes());
        assert_eq!(read_pm_timer(&table), None);
        table[91] = 4;
        assert_eq!(read_pm_timer(&table), Some(PmTimer { port: 0x608 }));
        assert_eq!(read_pm_timer(&table[..80]), None);
    }
}
