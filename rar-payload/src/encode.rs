//! From an operation to its 64 bytes.

use crate::{Field, Globals, InvpcidScope, InvpgScope, Operation, PageChunk, Payload};
#[cfg(feature = "unverified")]
use crate::{InveptScope, InvvpidScope};

impl Operation {
    /// Returns the entry that asks for this operation.
    ///
    /// All eight quadwords are defined: software byte, software area, reserved bits, and the fields
    /// that the subtype does not use are zero. Linux RFC v4 left some of these stale, which its
    /// review objected to.
    #[must_use]
    #[inline]
    pub const fn encode(&self) -> Payload {
        let Fields {
            control,
            operand,
            address,
        } = self.fields();
        Payload([control, 0, operand, address, 0, 0, 0, 0])
    }

    #[inline]
    const fn fields(&self) -> Fields {
        let payload_type = self.payload_type();
        match *self {
            Self::Invpg { cr3, scope } => {
                let cr3 = match cr3 {
                    Some(cr3) => cr3.get(),
                    None => 0,
                };
                match scope {
                    InvpgScope::Pages(pages) => ranged(payload_type, 0, cr3, pages),
                    InvpgScope::All(globals) => plain(payload_type, all(globals), cr3),
                }
            }
            Self::Invpcid(scope) => match scope {
                InvpcidScope::Pages { pcid, pages } => {
                    ranged(payload_type, 0, pcid.get() as u64, pages)
                }
                InvpcidScope::Context { pcid } => plain(payload_type, 1, pcid.get() as u64),
                InvpcidScope::AllContexts(globals) => plain(payload_type, all(globals), 0),
            },
            #[cfg(feature = "unverified")]
            Self::Invept(scope) => match scope {
                InveptScope::Context { eptp } => plain(payload_type, 1, eptp.get()),
                InveptScope::Global => plain(payload_type, 2, 0),
            },
            #[cfg(feature = "unverified")]
            Self::Invvpid(scope) => match scope {
                InvvpidScope::Pages { vpid, pages } => {
                    ranged(payload_type, 0, vpid.get() as u64, pages)
                }
                InvvpidScope::Context { vpid } => plain(payload_type, 1, vpid.get() as u64),
                InvvpidScope::AllContexts => plain(payload_type, 2, 0),
                InvvpidScope::ContextKeepingGlobals { vpid } => {
                    plain(payload_type, 3, vpid.get() as u64)
                }
            },
            #[cfg(feature = "unverified")]
            Self::MsrWrite(write) => write.fields(),
        }
    }
}

impl From<Operation> for Payload {
    fn from(operation: Operation) -> Self {
        operation.encode()
    }
}

/// Returns the subtype for everything, the same number in INVPG and INVPCID.
#[inline]
const fn all(globals: Globals) -> u64 {
    match globals {
        Globals::Include => 2,
        Globals::Exclude => 3,
    }
}

/// The quadwords of an entry that are not zero: 0, 2 and 3.
pub(crate) struct Fields {
    pub(crate) control: u64,
    pub(crate) operand: u64,
    pub(crate) address: u64,
}

/// Returns an entry that names no page.
#[inline]
const fn plain(payload_type: u8, subtype: u64, operand: u64) -> Fields {
    Fields {
        control: Field::PayloadType.shifted(payload_type as u64) | Field::Subtype.shifted(subtype),
        operand,
        address: 0,
    }
}

/// Returns an entry that names pages.
#[inline]
const fn ranged(payload_type: u8, subtype: u64, operand: u64, pages: PageChunk) -> Fields {
    let Fields { control, .. } = plain(payload_type, subtype, operand);
    Fields {
        control: control | pages.control(),
        operand,
        address: pages.start(),
    }
}
