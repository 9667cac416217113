//! What a guest wants of an I/O port, as the processor says it (AMD64 Architecture Programmer's
//! Manual vol. 2, "IOIO Intercepts").

const IN: u8 = 1 << 0;
const STRING: u8 = 1 << 2;

/// In which direction bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// An access by IN or OUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortAccess {
    pub(crate) direction: Direction,
    /// The first port; each byte has one of its own.
    pub(crate) port: u16,
    /// 1, 2 or 4.
    pub(crate) bytes: usize,
}

impl PortAccess {
    /// Reads `exit_info_1`; `None` for INS and OUTS.
    pub(crate) fn read(exit_info: u64) -> Option<Self> {
        let [what, _, low, high, ..] = exit_info.to_le_bytes();
        if what & STRING != 0 {
            return None;
        }
        Some(Self {
            direction: if what & IN == 0 {
                Direction::Out
            } else {
                Direction::In
            },
            port: u16::from_le_bytes([low, high]),
            // One bit for each size: 1, 2, 4.
            bytes: usize::from(what >> 4 & 0b111),
        })
    }

    /// Makes the access byte by byte; returns RAX after it.
    pub(crate) fn make(
        self,
        rax: u64,
        mut read: impl FnMut(u16) -> u8,
        mut write: impl FnMut(u16, u8),
    ) -> u64 {
        let mut value = rax.to_le_bytes();
        let ports = (0..4).map(|place| self.port.wrapping_add(place));
        for (byte, port) in value.iter_mut().take(self.bytes).zip(ports) {
            match self.direction {
                Direction::In => *byte = read(port),
                Direction::Out => write(port, *byte),
            }
        }
        let value = u64::from_le_bytes(value);
        // A register of 32 bits that is written has no upper half.
        match (self.direction, self.bytes) {
            (Direction::In, 4) => value & 0xffff_ffff,
            _ => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAX: u64 = 0x8877_6655_4433_2211;

    #[test]
    fn what_the_processor_says() {
        for (info, direction, port, bytes) in [
            (0x0020_0010, Direction::Out, 0x20, 1),
            (0x00a1_0011, Direction::In, 0xa1, 1),
            (0x0020_0220, Direction::Out, 0x20, 2),
            (0xffff_0141, Direction::In, 0xffff, 4),
        ] {
            let wanted = PortAccess {
                direction,
                port,
                bytes,
            };
            assert_eq!(PortAccess::read(info), Some(wanted), "{info:#x}");
        }
        // INS, and REP OUTS.
        assert_eq!(PortAccess::read(0x0020_0015), None);
        assert_eq!(PortAccess::read(0x0020_001c), None);
    }

    #[test]
    fn bytes_go_to_ports_in_order() {
        let mut written = vec![];
        let out = PortAccess::read(0x001f_0020).unwrap();
        let rax = out.make(RAX, |_| panic!(), |port, byte| written.push((port, byte)));
        assert_eq!((rax, written), (RAX, vec![(0x1f, 0x11), (0x20, 0x22)]));
    }

    #[test]
    fn registers_keep_what_is_not_read() {
        let read = |info| {
            let access = PortAccess::read(info).unwrap();
            access.make(RAX, |port| port.to_le_bytes()[0], |_, _| panic!())
        };
        assert_eq!(read(0x0020_0011), 0x8877_6655_4433_2220);
        assert_eq!(read(0x0020_0021), 0x8877_6655_4433_2120);
        assert_eq!(read(0x0020_0041), 0x2322_2120);
        assert_eq!(read(0xffff_0021), 0x8877_6655_4433_00ff, "ports wrap");
    }
}
