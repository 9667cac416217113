//! Writes to I/O ports that end the guest: power-off, reset, and the exit device of an emulator.

use core::fmt;

/// Keyboard controller: an even command from 0xf0 pulses the reset line.
const KEYBOARD: u16 = 0x64;
const PULSE: u32 = 0xf0;
/// System control port A: bit 0 resets the processor.
const SYSTEM_CONTROL: u16 = 0x92;
/// The reset control register of Intel's chipsets: bit 2 resets.
pub(crate) const RESET_CONTROL: u16 = 0xcf9;
const RESET: u32 = 1 << 2;
/// ACPI 6.5, "PM1 Control Registers": SLP_EN.
const SLEEP_ENABLE: u32 = 1 << 13;

/// The ports of this machine that end it, besides those that every PC has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndPorts {
    /// The PM1a control register that the FADT names.
    pub sleep: Option<u16>,
    /// The exit device of an emulator: any write ends it.
    pub exit: Option<u16>,
}

impl EndPorts {
    /// Only those that every PC has.
    pub const NONE: Self = Self {
        sleep: None,
        exit: None,
    };

    /// Returns every port whose writes must be looked at from the beginning:
    /// [`RESET_CONTROL`] is not among them.
    pub(crate) fn ports(self) -> impl Iterator<Item = u16> {
        let fixed = [KEYBOARD, SYSTEM_CONTROL];
        let second = self.sleep.map(|port| port.wrapping_add(1));
        fixed
            .into_iter()
            .chain(self.sleep)
            .chain(second)
            .chain(self.exit)
    }

    /// Returns how a write ends the guest; `None` if it does not.
    pub(crate) fn end(self, write: PortWrite) -> Option<End> {
        let PortWrite { port, bytes, value } = write;
        let byte = bytes == 1;
        let what = if self.exit == Some(port) {
            "the guest used the exit device"
        } else if self.sleep == Some(port) && bytes > 1 && value & SLEEP_ENABLE != 0
            || self
                .sleep
                .is_some_and(|sleep| sleep.wrapping_add(1) == port)
                && value << 8 & SLEEP_ENABLE != 0
        {
            "the guest turned the machine off"
        } else if byte
            && (port == RESET_CONTROL && value & RESET != 0
                || port == SYSTEM_CONTROL && value & 1 != 0
                || port == KEYBOARD && value & PULSE == PULSE && value & 1 == 0)
        {
            "the guest reset the machine"
        } else {
            return None;
        };
        Some(End { what, write })
    }
}

/// A write of a guest to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortWrite {
    pub(crate) port: u16,
    /// 1, 2 or 4.
    pub(crate) bytes: u8,
    pub(crate) value: u32,
}

/// The end of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    what: &'static str,
    write: PortWrite,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PortWrite { port, value, .. } = self.write;
        write!(f, "{} ({value:#x} to port {port:#x})", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: EndPorts = EndPorts {
        sleep: Some(0x604),
        exit: Some(0xf4),
    };

    fn end(port: u16, bytes: u8, value: u32) -> Option<String> {
        let end = PORTS.end(PortWrite { port, bytes, value });
        end.map(|end| end.to_string())
    }

    #[test]
    fn what_ends_the_guest_says_how() {
        for (port, bytes, value, text) in [
            (
                0x604,
                2,
                0x2000,
                "the guest turned the machine off (0x2000 to port 0x604)",
            ),
            (
                0x604,
                2,
                0x3401,
                "the guest turned the machine off (0x3401 to port 0x604)",
            ),
            (
                0x605,
                1,
                0x20,
                "the guest turned the machine off (0x20 to port 0x605)",
            ),
            (
                0xcf9,
                1,
                0x6,
                "the guest reset the machine (0x6 to port 0xcf9)",
            ),
            (
                0x64,
                1,
                0xfe,
                "the guest reset the machine (0xfe to port 0x64)",
            ),
            (
                0x92,
                1,
                0x3,
                "the guest reset the machine (0x3 to port 0x92)",
            ),
            (
                0xf4,
                1,
                0x10,
                "the guest used the exit device (0x10 to port 0xf4)",
            ),
        ] {
            assert_eq!(end(port, bytes, value).as_deref(), Some(text));
            let mut looked_at = PORTS.ports().chain([RESET_CONTROL]);
            assert!(looked_at.any(|each| each == port), "{port:#x}");
        }
        // Nothing that PCI's address register covers.
        assert!(!PORTS.ports().any(|port| (0xcf8..0xcfc).contains(&port)));
    }

    #[test]
    fn everyday_writes_do_not() {
        for (port, bytes, value) in [
            // ACPI mode on; arming a reset; configuration space; keyboard commands; A20.
            (0x604, 2, 0x1),
            (0xcf9, 1, 0x2),
            (0xcf8, 4, 0x8000_0604),
            (0x64, 1, 0xae),
            (0x64, 1, 0xff),
            (0x92, 1, 0x2),
            (0x80, 1, 0xfe),
        ] {
            assert_eq!(end(port, bytes, value), None, "{port:#x} {value:#x}");
        }
        let others = EndPorts::NONE.end(PortWrite {
            port: 0x604,
            bytes: 2,
            value: 0x2000,
        });
        assert_eq!(others, None);
    }
}
