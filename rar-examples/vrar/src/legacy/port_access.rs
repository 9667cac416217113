//! What a guest wants of an I/O port, as the processor says it (AMD64 Architecture Programmer's
//! Manual vol. 2, "IOIO Intercepts").

use crate::instruction::code::CodeSize;

const IN: u8 = 1 << 0;
const STRING: u8 = 1 << 2;
const REPEATED: u8 = 1 << 3;
/// RFLAGS.DF.
const DIRECTION: u64 = 1 << 10;

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

/// RCX and RSI of an instruction that reads a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StringRegisters {
    pub(crate) rcx: u64,
    pub(crate) rsi: u64,
}

impl StringRegisters {
    /// Returns the registers after an OUTS, with or without REP, which begins with these.
    pub(crate) fn after_output(self, exit_info: u64, size: CodeSize, rflags: u64) -> Self {
        let [what, address, ..] = exit_info.to_le_bytes();
        let width = match (what >> 7 & 1, address & 0b11, size) {
            (1, ..) => u64::from(u16::MAX),
            (_, 0b01, _) => u64::from(u32::MAX),
            (_, 0b10, _) => u64::MAX,
            // QEMU does not say.
            (.., CodeSize::Bits16) => u64::from(u16::MAX),
            (.., CodeSize::Bits32) => u64::from(u32::MAX),
            (.., CodeSize::Bits64) => u64::MAX,
        };
        // What is narrower than 32 bits leaves the rest of a register.
        let kept = if width == u64::from(u16::MAX) {
            !width
        } else {
            0
        };
        let repeats = what & REPEATED != 0;
        let count = if repeats { self.rcx & width } else { 1 };
        let length = count.wrapping_mul(u64::from(what >> 4 & 0b111));
        let moved = if rflags & DIRECTION == 0 {
            self.rsi.wrapping_add(length)
        } else {
            self.rsi.wrapping_sub(length)
        };
        Self {
            rcx: if repeats { self.rcx & kept } else { self.rcx },
            rsi: self.rsi & kept | moved & width,
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
    fn an_output_changes_no_register() {
        for info in [0x0020_0010, 0x0020_0020, 0x0020_0040, 0xffff_0040] {
            let mut written = 0;
            let out = PortAccess::read(info).unwrap();
            let rax = out.make(RAX, |_| panic!(), |_, _| written += 1);
            assert_eq!((rax, written), (RAX, out.bytes), "{info:#x}");
        }
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

    #[test]
    fn a_string_that_is_written_moves_its_registers() {
        const TOP: u64 = 0x8877_6655_0000_0000;
        let long = (u64::MAX - 1, 0x10);
        for (info, size, rflags, (rcx, rsi), expected) in [
            // REP OUTSB, OUTSB, REP OUTSW, REP OUTSD downwards.
            (
                0x1c,
                CodeSize::Bits64,
                0,
                (5, 0x1_0000_0000),
                (0, 0x1_0000_0005),
            ),
            (0x14, CodeSize::Bits64, 0, (5, 0x1000), (5, 0x1001)),
            (0x2c, CodeSize::Bits64, 0, (5, 0x1000), (0, 0x100a)),
            (0x4c, CodeSize::Bits64, 1 << 10, (5, 0x1000), (0, 0xfec)),
            (0x1c, CodeSize::Bits64, 0, long, (0, 0xe)),
            // The address size that the code has, and the one that is said.
            (
                0x1c,
                CodeSize::Bits32,
                0,
                (TOP | 5, TOP | 0xffff_fffe),
                (0, 3),
            ),
            (
                0x1c,
                CodeSize::Bits16,
                0,
                (TOP | 5, TOP | 0xfffe),
                (TOP, TOP | 3),
            ),
            (
                0x9c,
                CodeSize::Bits32,
                0,
                (TOP | 5, TOP | 0xfffe),
                (TOP, TOP | 3),
            ),
            (0x11c, CodeSize::Bits64, 0, (TOP | 5, TOP | 7), (0, 12)),
            (
                0x21c,
                CodeSize::Bits16,
                0,
                (5, TOP | 0xffff),
                (0, TOP | 0x1_0004),
            ),
        ] {
            let before = StringRegisters { rcx, rsi };
            let (rcx, rsi) = expected;
            let after = before.after_output(0x00e9_0000 | info, size, rflags);
            assert_eq!(after, StringRegisters { rcx, rsi }, "{info:#x} {size:?}");
        }
    }
}
