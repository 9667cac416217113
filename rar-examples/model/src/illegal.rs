//! Why a payload is not legal.

use core::fmt;

/// Why a payload has no meaning: the field and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Illegal {
    /// The type is 6 or more.
    UnknownType(u8),
    /// The unit does not execute this type.
    UnsupportedType(u8),
    /// The type has no such subtype.
    UnknownSubtype {
        /// The type.
        kind: u8,
        /// The subtype.
        subtype: u8,
    },
    /// Must-be-zero bits are set.
    ReservedBits {
        /// The quadword, 0, 1 or 3.
        word: u8,
        /// The bits in question.
        bits: u64,
    },
    /// A field that this subtype does not use is not zero.
    UnusedField {
        /// The quadword, 0, 2 or 3.
        word: u8,
        /// The bits in question.
        bits: u64,
    },
    /// Page-size code 3.
    PageSize,
    /// A range of no pages.
    ZeroPages,
    /// The address is not a multiple of the page size.
    Misaligned(u64),
    /// The first or the last page is not canonical, or the range wraps or spans the canonical hole.
    NonCanonical {
        /// The first address.
        start: u64,
        /// The number of pages.
        count: u8,
    },
    /// VPID 0, which INVVPID never accepts.
    VpidZero,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(kind) => write!(f, "type {kind} is reserved"),
            Self::UnsupportedType(kind) => write!(f, "type {kind} is not supported"),
            Self::UnknownSubtype { kind, subtype } => {
                write!(f, "type {kind} has no subtype {subtype}")
            }
            Self::ReservedBits { word, bits } => {
                write!(f, "reserved bits {bits:#x} set in quadword {word}")
            }
            Self::UnusedField { word, bits } => {
                write!(f, "unused field {bits:#x} set in quadword {word}")
            }
            Self::PageSize => f.write_str("page size code 3"),
            Self::ZeroPages => f.write_str("a range of no pages"),
            Self::Misaligned(address) => write!(f, "address {address:#x} is misaligned"),
            Self::NonCanonical { start, count } => {
                write!(f, "{count} pages at {start:#x} are not canonical")
            }
            Self::VpidZero => f.write_str("VPID 0"),
        }
    }
}

impl core::error::Error for Illegal {}
