//! The interrupt command of a local APIC (SDM vol. 3, "Interrupt Command Register").

/// What kind of interrupt is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Fixed,
    LowestPriority,
    /// 010b: system management.
    Smi,
    /// 011b: remote action request.
    RemoteAction,
    Nmi,
    Init,
    Startup,
    /// 111b, which no interprocessor interrupt can have.
    Reserved,
}

/// Which CPUs get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Physical(u32),
    /// Everyone, by the physical address of all ones.
    Broadcast,
    Logical(u32),
    /// The logical address of an xAPIC.
    LogicalByte(u8),
    /// Shorthands: self, all including self, all but self.
    Own,
    All,
    Others,
}

/// A decoded command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) mode: Mode,
    pub(crate) vector: u8,
    pub(crate) destination: Destination,
    /// Level-triggered without assertion: only INIT has it, and it does nothing on any processor of
    /// today.
    pub(crate) deasserted: bool,
    /// Bits 15:14: level and trigger mode.
    pub(crate) trigger: u8,
}

/// Bits 31:20, 17:16, 13 and 12 of the low word.
const RESERVED: u64 = 0xfff3_3000;

impl Command {
    /// Reads what was written to the register of an x2APIC; `None` if a reserved bit is set.
    pub(crate) fn from_x2apic(value: u64) -> Option<Self> {
        (value & RESERVED == 0).then(|| Self::decode(value, upper(value)))
    }

    /// Reads the two words of an xAPIC.
    pub(crate) fn from_xapic(high: u32, low: u32) -> Self {
        let destination = high >> 24;
        let command = Self::decode(u64::from(low), destination);
        let destination = match command.destination {
            Destination::Physical(0xff) => Destination::Broadcast,
            Destination::Logical(_) => {
                let [.., byte] = high.to_le_bytes();
                Destination::LogicalByte(byte)
            }
            other => other,
        };
        Self {
            destination,
            ..command
        }
    }

    fn decode(low: u64, destination: u32) -> Self {
        let [vector, ..] = low.to_le_bytes();
        let destination = match (low >> 18 & 0b11, low >> 11 & 1) {
            (1, _) => Destination::Own,
            (2, _) => Destination::All,
            (3, _) => Destination::Others,
            (_, 0) if destination == u32::MAX => Destination::Broadcast,
            (_, 0) => Destination::Physical(destination),
            _ => Destination::Logical(destination),
        };
        let [_, second, ..] = low.to_le_bytes();
        Self {
            mode: match low >> 8 & 0b111 {
                0 => Mode::Fixed,
                1 => Mode::LowestPriority,
                2 => Mode::Smi,
                3 => Mode::RemoteAction,
                4 => Mode::Nmi,
                5 => Mode::Init,
                6 => Mode::Startup,
                _ => Mode::Reserved,
            },
            vector,
            destination,
            deasserted: low >> 14 & 0b11 == 0b10,
            trigger: second >> 6,
        }
    }

    /// Returns whether a remote action request is written as every known driver writes it: vector
    /// 0, edge, no shorthand. What a processor does with any other is unknown.
    pub(crate) fn is_known_request(&self) -> bool {
        self.oddity().is_none()
    }

    /// Returns what no known driver writes into a remote action request.
    pub(crate) const fn oddity(&self) -> Option<&'static str> {
        match self.destination {
            Destination::Broadcast => return Some("the broadcast"),
            Destination::Own | Destination::All | Destination::Others => {
                return Some("a shorthand");
            }
            Destination::Physical(_) | Destination::Logical(_) | Destination::LogicalByte(_) => {}
        }
        if self.vector != 0 {
            Some("a vector")
        } else if self.trigger != 0 {
            Some("a level or a trigger mode")
        } else {
            None
        }
    }
}

fn upper(value: u64) -> u32 {
    let [.., a, b, c, d] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_as_drivers_write_them() {
        let one = Command::from_x2apic(0x0000_0007_0000_0300).unwrap();
        assert_eq!(
            (one.mode, one.destination),
            (Mode::RemoteAction, Destination::Physical(7))
        );
        assert!(one.is_known_request());
        let cluster = Command::from_x2apic(0x0001_0009_0000_0b00).unwrap();
        assert_eq!(cluster.destination, Destination::Logical(0x1_0009));
        assert!(cluster.is_known_request());
    }

    #[test]
    fn the_words_of_an_xapic() {
        let one = Command::from_xapic(0x0900_0000, 0x300);
        assert_eq!(one.destination, Destination::Physical(9));
        assert!(one.is_known_request());
        let logical = Command::from_xapic(0x0900_0000, 0xb00);
        assert_eq!(logical.destination, Destination::LogicalByte(9));
        assert!(logical.is_known_request());
        assert!(!Command::from_xapic(0xff00_0000, 0x300).is_known_request());
    }

    #[test]
    fn requests_that_no_source_describes() {
        for low in [0x3e0, 0x4300, 0x8300, 0x4_0300, 0x8_0300, 0xc_0300] {
            assert!(
                !Command::from_x2apic(low).unwrap().is_known_request(),
                "{low:#x}"
            );
        }
        assert!(
            !Command::from_x2apic(0xffff_ffff_0000_0300)
                .unwrap()
                .is_known_request()
        );
    }

    #[test]
    fn other_modes_and_reserved_bits() {
        let startup = Command::from_x2apic(0x0000_0003_0000_4608).unwrap();
        assert_eq!((startup.mode, startup.vector), (Mode::Startup, 8));
        let init = Command::from_x2apic(0x0000_0003_0000_8500).unwrap();
        assert!(init.deasserted);
        for bit in [12, 13, 16, 17, 20, 31] {
            assert_eq!(Command::from_x2apic(0x300 | 1 << bit), None);
        }
    }
}
