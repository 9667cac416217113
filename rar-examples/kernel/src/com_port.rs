//! The place of a serial port, and its speed.

/// A serial port of the usual kind (16550), at one of the four usual places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComPort {
    /// The first of its eight I/O ports.
    pub(crate) base: u16,
    /// What its clock, 115,200 baud, is divided by.
    pub(crate) divisor: u16,
}

/// The name of each port, as Linux has them, and its place.
const PORTS: [(&str, u16); 4] = [
    ("ttyS0", 0x3f8),
    ("ttyS1", 0x2f8),
    ("ttyS2", 0x3e8),
    ("ttyS3", 0x2e8),
];
const FASTEST: u32 = 115_200;
/// A port that takes longer for a byte is given up as one whose peer does not read.
const SLOWEST: u32 = 9_600;

impl ComPort {
    /// The first port at 115,200 baud.
    pub const COM1: Self = Self {
        base: 0x3f8,
        divisor: 1,
    };

    /// Reads `ttyS0` to `ttyS3`, possibly with a comma and a speed in baud: 115,200, which is the
    /// default, or a whole part of it from 9,600 on.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, speed) = match text.split_once(',') {
            Some((name, speed)) => (name, speed.parse().ok()?),
            None => (text, FASTEST),
        };
        let (_, base) = PORTS.into_iter().find(|(port, _)| *port == name)?;
        let is_exact = speed >= SLOWEST && FASTEST.checked_rem(speed)? == 0;
        let divisor = u16::try_from(FASTEST.checked_div(speed)?).ok()?;
        is_exact.then_some(Self { base, divisor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_a_name_and_possibly_a_speed() {
        let port = |base, divisor| Some(ComPort { base, divisor });
        for (text, expected) in [
            ("ttyS0", Some(ComPort::COM1)),
            ("ttyS1", port(0x2f8, 1)),
            ("ttyS1,57600", port(0x2f8, 2)),
            ("ttyS2,9600", port(0x3e8, 12)),
            ("ttyS3,115200", port(0x2e8, 1)),
            ("ttyS4", None),
            ("ttyS0,", None),
            ("ttyS0,0", None),
            ("ttyS0,100000", None),
            ("ttyS0,230400", None),
            ("ttyS0,4800", None),
            ("ttyS0,115200n8", None),
            ("com1", None),
            ("", None),
        ] {
            assert_eq!(ComPort::parse(text), expected, "{text}");
        }
    }
}
