//! An instruction of a guest.

use core::fmt;

/// The longest instruction.
pub(crate) const LONGEST: usize = 15;
const EFER_LONG_MODE_ACTIVE: u64 = 1 << 10;
/// Of a code segment's attributes: 64-bit code; else 32-bit code instead of 16-bit code.
const LONG_CODE: u16 = 1 << 9;
const WIDE_CODE: u16 = 1 << 10;

/// How the processor reads instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSize {
    /// Real mode, and segments of 16 bits.
    Bits16,
    /// Segments of 32 bits.
    Bits32,
    /// 64-bit mode.
    Bits64,
}

impl CodeSize {
    pub(crate) fn of(efer: u64, attributes: u16) -> Self {
        if efer & EFER_LONG_MODE_ACTIVE != 0 && attributes & LONG_CODE != 0 {
            Self::Bits64
        } else if attributes & WIDE_CODE != 0 {
            Self::Bits32
        } else {
            Self::Bits16
        }
    }
}

/// An instruction of a guest, and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// How its bytes are read.
    pub size: CodeSize,
    /// The linear address.
    pub address: u64,
    /// The bytes there; zero where no memory is.
    pub bytes: [u8; LONGEST],
}

impl Code {
    /// Returns the bytes behind the prefixes, and how many prefixes there are; `None` if there is
    /// nothing else.
    pub(crate) fn behind_prefixes(&self) -> Option<(&[u8], usize)> {
        let is_other = |byte: &u8| !is_prefix(*byte, self.size);
        let prefixes = self.bytes.iter().position(is_other)?;
        Some((self.bytes.get(prefixes..)?, prefixes))
    }
}

fn is_prefix(byte: u8, size: CodeSize) -> bool {
    match byte {
        // Segments, sizes, LOCK and REP.
        0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => true,
        // REX.
        0x40..=0x4f => size == CodeSize::Bits64,
        _ => false,
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self.size {
            CodeSize::Bits16 => 16,
            CodeSize::Bits32 => 32,
            CodeSize::Bits64 => 64,
        };
        write!(f, "{bits}-bit code at {:#x}:", self.address)?;
        self.bytes
            .iter()
            .try_for_each(|byte| write!(f, " {byte:02x}"))
    }
}

#[cfg(test)]
impl Code {
    /// Returns code that begins like this.
    pub(crate) fn beginning(size: CodeSize, start: &[u8]) -> Self {
        let mut bytes = [0xcc; LONGEST];
        bytes[..start.len()].copy_from_slice(start);
        Self {
            size,
            address: 0,
            bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_segment() {
        for (efer, attributes, size) in [
            (0x1000, 0x009b, CodeSize::Bits16),
            (0x1000, 0x0c9b, CodeSize::Bits32),
            // Without long mode the bit means nothing.
            (0x1000, 0x0a9b, CodeSize::Bits16),
            (0x1500, 0x0a9b, CodeSize::Bits64),
            (0x1500, 0x0c9b, CodeSize::Bits32),
            (0x1500, 0x009b, CodeSize::Bits16),
        ] {
            assert_eq!(
                CodeSize::of(efer, attributes),
                size,
                "{efer:#x} {attributes:#x}"
            );
        }
    }

    #[test]
    fn in_words() {
        let mut bytes = [0; LONGEST];
        bytes[0] = 0xa5;
        let code = Code {
            size: CodeSize::Bits16,
            address: 0xf_fff0,
            bytes,
        };
        let text = code.to_string();
        assert!(
            text.starts_with("16-bit code at 0xffff0: a5 00 00"),
            "{text}"
        );
    }
}
