//! One table: its header and checksum (ACPI 6.5, "System Description Table Header").

use core::fmt;

use crate::PhysicalMemory;
use crate::little_endian::number32;

/// A signature, as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 4]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What is wrong with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableFault {
    /// There is no memory where it should be.
    Unreadable,
    /// Another signature stands there.
    Signature(Signature),
    /// No table is as short or as long.
    Length(u32),
    /// The checksum.
    Sum {
        /// The byte in the table.
        got: u8,
        /// The byte that would be right.
        expected: u8,
    },
}

impl fmt::Display for TableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("no memory there"),
            Self::Signature(found) => write!(f, "wrong signature {found}"),
            Self::Length(length) => write!(
                f,
                "impossible length (got {length}, expected {HEADER_LENGTH} to {MAXIMUM_LENGTH})"
            ),
            Self::Sum { got, expected } => {
                write!(
                    f,
                    "wrong checksum (got {got:#04x}, expected {expected:#04x})"
                )
            }
        }
    }
}

pub(super) const HEADER_LENGTH: usize = 36;
/// Larger than any table of interest here; a bound on what garbage can make us read.
const MAXIMUM_LENGTH: usize = 1 << 20;
const SUM: usize = 9;

pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// A table that can be read, header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table<'m> {
    /// Its physical address.
    pub address: u64,
    /// All of it, by its own length.
    pub bytes: &'m [u8],
    /// Its checksum, if that is wrong.
    pub fault: Option<TableFault>,
}

/// Reads a whole table after checking its signature and its length.
pub(super) fn read_table<'m>(
    address: u64,
    signature: [u8; 4],
    memory: &'m impl PhysicalMemory,
) -> Result<Table<'m>, TableFault> {
    let header = memory.bytes(address, HEADER_LENGTH);
    let (found, length) = header
        .and_then(|header| header.first_chunk().zip(number32(header, 4)))
        .ok_or(TableFault::Unreadable)?;
    if *found != signature {
        return Err(TableFault::Signature(Signature(*found)));
    }
    let bytes = usize::try_from(length)
        .ok()
        .filter(|length| (HEADER_LENGTH..=MAXIMUM_LENGTH).contains(length))
        .ok_or(TableFault::Length(length))?;
    let bytes = memory.bytes(address, bytes).ok_or(TableFault::Unreadable)?;
    let got = bytes.get(SUM).copied().unwrap_or(0);
    let fault = match sum(bytes) {
        0 => None,
        sum => Some(TableFault::Sum {
            got,
            expected: got.wrapping_sub(sum),
        }),
    };
    Ok(Table {
        address,
        bytes,
        fault,
    })
}
