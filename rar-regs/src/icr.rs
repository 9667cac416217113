//! What the xAPIC and the x2APIC form of an interrupt command have in common.

use core::fmt;

use crate::ApicId;

/// What the receiving CPU is asked to do: bits 10:8 of the interrupt command.
///
/// SDM vol. 3, Interrupt Command Register (documented), except for
/// [`RemoteActionRequest`](DeliveryMode::RemoteActionRequest). Only the modes that this crate sends
/// are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum DeliveryMode {
    /// An interrupt with the vector of the command.
    Fixed = 0b000,
    /// Remote action request: the code point that was once "remote read".
    ///
    /// Taken from Linux RFC v1 to v4 and Intel's own Linux branch (code). The SDM lists the code as
    /// reserved.
    #[doc(alias = "APIC_DM_RAR")]
    RemoteActionRequest = 0b011,
    /// A non-maskable interrupt.
    Nmi = 0b100,
    /// INIT: the CPU waits for a start-up message.
    Init = 0b101,
    /// Start-up: the CPU runs real-mode code from a page below 1 MiB.
    Startup = 0b110,
}

/// Level, bit 14: zero only in the message that takes INIT back (SDM vol. 3, Interrupt Command
/// Register).
const LEVEL_ASSERT: u32 = 1 << 14;

/// The lowest vector that software may send; 0 to 15 are illegal (SDM vol. 3, Valid Interrupt
/// Vectors).
const LOWEST_VECTOR: u8 = 16;

/// Returns bits 31:0 of a remote action request to one CPU.
///
/// Vector 0, edge, and the level bit 0, all as every Linux version of the driver sends it (code).
/// Whether other values are ignored is unknown.
pub(crate) const fn rar() -> u32 {
    mode(DeliveryMode::RemoteActionRequest)
}

/// Returns bits 31:0 of an ordinary interrupt.
pub(crate) fn fixed(vector: u8) -> Result<u32, IcrError> {
    if vector < LOWEST_VECTOR {
        return Err(IcrError::Vector { vector });
    }
    Ok(LEVEL_ASSERT | mode(DeliveryMode::Fixed) | u32::from(vector))
}

/// Returns bits 31:0 of a non-maskable interrupt.
pub(crate) const fn nmi() -> u32 {
    LEVEL_ASSERT | mode(DeliveryMode::Nmi)
}

/// Returns bits 31:0 of an INIT.
pub(crate) const fn init() -> u32 {
    LEVEL_ASSERT | mode(DeliveryMode::Init)
}

/// Returns bits 31:0 of a start-up message for the code at `page << 12`.
pub(crate) fn startup(page: u8) -> u32 {
    LEVEL_ASSERT | mode(DeliveryMode::Startup) | u32::from(page)
}

const fn mode(mode: DeliveryMode) -> u32 {
    (mode as u32) << 8
}

/// A CPU that the interrupt command cannot address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DestinationError {
    /// The ID means "all CPUs", this one included.
    Broadcast {
        /// The refused ID.
        id: ApicId,
    },
    /// The ID has more than the 8 bits of an xAPIC.
    NeedsX2apic {
        /// The refused ID.
        id: ApicId,
    },
    /// The ID has more than the 20 bits that an x2APIC logical address is made from.
    NoCluster {
        /// The refused ID.
        id: ApicId,
    },
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broadcast { id } => {
                write!(f, "{id} addresses all CPUs: name the targets one by one")
            }
            Self::NeedsX2apic { id } => {
                write!(
                    f,
                    "{id} does not fit in the 8 bits of an xAPIC: switch to x2APIC mode"
                )
            }
            Self::NoCluster { id } => {
                write!(
                    f,
                    "{id} is above 0xfffff and has no cluster: use a physical destination"
                )
            }
        }
    }
}

impl core::error::Error for DestinationError {}

/// An ordinary interrupt that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum IcrError {
    /// The target cannot be addressed.
    Destination(DestinationError),
    /// Vectors 0 to 15 are illegal to send.
    Vector {
        /// The refused vector.
        vector: u8,
    },
}

impl From<DestinationError> for IcrError {
    fn from(error: DestinationError) -> Self {
        Self::Destination(error)
    }
}

impl fmt::Display for IcrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(error) => error.fmt(f),
            Self::Vector { vector } => {
                write!(
                    f,
                    "vector {vector:#x} is illegal to send: choose one from 0x10 to 0xff"
                )
            }
        }
    }
}

impl core::error::Error for IcrError {}

/// The xAPIC was still delivering an earlier interrupt when the bounded wait ended. Nothing was
/// sent.
///
/// Serve what others may be waiting for on this CPU, then send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct IcrBusy {
    /// How often the delivery status was polled.
    pub polls: u32,
}

impl fmt::Display for IcrBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "local APIC: still sending after {} polls (expected idle), nothing was sent; serve \
             other CPUs, then send again",
            self.polls
        )
    }
}

impl core::error::Error for IcrBusy {}
