//! Why 64 bytes are not a legal entry.

use core::fmt;

use crate::{Field, RangeError};

/// The reason why an entry was not decoded: names the field and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The type is not defined, or only with the crate's feature `unverified`.
    UnknownType {
        /// The type field.
        payload_type: u8,
    },
    /// The type has no such subtype.
    UnknownSubtype {
        /// The type field.
        payload_type: u8,
        /// The subtype field.
        subtype: u8,
    },
    /// Bits that must be zero are not.
    ReservedBits {
        /// Which of the reserved fields.
        field: Field,
        /// Its value, moved down to bit 0.
        value: u64,
    },
    /// A field that this type and subtype do not use is not zero.
    IrrelevantField {
        /// The unused field.
        field: Field,
        /// Its value, moved down to bit 0.
        value: u64,
    },
    /// The operand is not a value of the kind that the type asks for: a CR3 (bits 51:0), a PCID
    /// (bits 11:0), an EPTP or a VPID.
    InvalidOperand {
        /// The type field, which says what kind was expected.
        payload_type: u8,
        /// Quadword 2.
        operand: u64,
    },
    /// The page size code is 3, which is undefined.
    UndefinedPageSize {
        /// The code.
        code: u8,
    },
    /// An address range of no page; its meaning to hardware is unknown.
    NoPages,
    /// The pages are not a legal range, judged by 57-bit addresses.
    InvalidRange(RangeError),
    /// The entry writes an MSR: only the unsafe `MsrWrite::decode` takes it.
    #[cfg(feature = "unverified")]
    WritesMsr,
}

impl DecodeError {
    /// Returns the field that was found wrong.
    #[must_use]
    pub const fn field(&self) -> Field {
        match *self {
            Self::UnknownType { .. } => Field::PayloadType,
            Self::UnknownSubtype { .. } => Field::Subtype,
            Self::ReservedBits { field, .. } | Self::IrrelevantField { field, .. } => field,
            Self::InvalidOperand { .. } => Field::Operand,
            Self::UndefinedPageSize { .. } => Field::PageSize,
            Self::NoPages => Field::PageCount,
            Self::InvalidRange(_) => Field::Address,
            #[cfg(feature = "unverified")]
            Self::WritesMsr => Field::PayloadType,
        }
    }

    /// Returns the value of that field, moved down to bit 0.
    #[must_use]
    pub const fn value(&self) -> u64 {
        match *self {
            Self::UnknownType { payload_type } => payload_type as u64,
            Self::UnknownSubtype { subtype, .. } => subtype as u64,
            Self::ReservedBits { value, .. } | Self::IrrelevantField { value, .. } => value,
            Self::InvalidOperand { operand, .. } => operand,
            Self::UndefinedPageSize { code } => code as u64,
            Self::NoPages => 0,
            Self::InvalidRange(error) => error.address(),
            #[cfg(feature = "unverified")]
            Self::WritesMsr => crate::MsrWrite::TYPE as u64,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:#x}: ", self.field(), self.value())?;
        match self {
            Self::UnknownType { .. } => f.write_str("unknown type"),
            Self::UnknownSubtype { payload_type, .. } => {
                write!(f, "type {payload_type} has no such subtype")
            }
            Self::ReservedBits { .. } => f.write_str("reserved bits have to be zero"),
            Self::IrrelevantField { .. } => {
                f.write_str("this type and subtype do not use the field, it has to be zero")
            }
            Self::InvalidOperand { payload_type, .. } => {
                write!(f, "not a legal operand of type {payload_type}")
            }
            Self::UndefinedPageSize { .. } => f.write_str("undefined code"),
            Self::NoPages => f.write_str("an address range needs at least one page"),
            Self::InvalidRange(error) => error.fmt(f),
            #[cfg(feature = "unverified")]
            Self::WritesMsr => f.write_str("an MSR write is decoded by `MsrWrite::decode` only"),
        }
    }
}

impl core::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::InvalidRange(error) => Some(error),
            _ => None,
        }
    }
}
