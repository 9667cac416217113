//! What can go wrong in a flush.

use rar_percpu::{ActionByte, CpuId, SlotIndex};

use crate::machine::{Machine, NotSent};
use crate::pending::Pending;

/// Why a flush did not end. Nothing may be freed that depended on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlushError {
    /// A CPU answered neither the signal nor the fallback in time.
    NoAnswer {
        /// The first CPU that did not answer.
        cpu: CpuId,
        /// How many CPUs did not answer.
        late: usize,
        /// A slot whose byte the CPU did not turn to success, with the byte as it was last read;
        /// `None` if no slot was used.
        entry: Option<(SlotIndex, ActionByte)>,
    },
    /// The machine could send neither an interrupt nor an NMI.
    NotSent {
        /// The first CPU that did not answer.
        cpu: CpuId,
        /// How many CPUs did not answer.
        late: usize,
        /// Why the last message was not sent.
        cause: NotSent,
    },
    /// The machine's local TLB cannot drop what was asked for, not even by flushing everything: a
    /// translation that is tagged by EPT or VPID. Nothing was sent.
    Unsupported,
}

impl core::fmt::Display for FlushError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let remedy = "wait again, or stop the CPUs and declare them dead before anything is freed";
        match *self {
            Self::NoAnswer { cpu, late, entry } => {
                write!(
                    f,
                    "CPU {cpu}: no answer to a TLB flush or its fallback in time ({late} CPUs late"
                )?;
                if let Some((slot, byte)) = entry {
                    write!(f, ", slot {slot}, action byte {:#04x}", byte.0)?;
                }
                write!(f, "); {remedy}")
            }
            Self::NotSent { cpu, late, cause } => {
                write!(
                    f,
                    "CPU {cpu}: could not be sent a TLB flush ({late} CPUs late, {cause}); {remedy}"
                )
            }
            Self::Unsupported => f.write_str(
                "local TLB: cannot drop translations tagged by EPT or VPID; implement \
                 LocalTlb::drops_guest_translations",
            ),
        }
    }
}

impl core::error::Error for FlushError {}

/// A flush that did not end in time, with the [`Pending`] that still owns what must not be freed.
///
/// Take the pending flush out to wait again. Dropping it leaks what it owns.
#[must_use = "what the flush owns is leaked if this is dropped"]
pub struct WaitError<'s, M: Machine<WORDS>, F, const WORDS: usize> {
    /// What went wrong.
    pub error: FlushError,
    /// The flush; waiting again requests a full flush of the late CPUs.
    pub pending: Pending<'s, M, F, WORDS>,
}

impl<M: Machine<WORDS>, F, const WORDS: usize> core::fmt::Debug for WaitError<'_, M, F, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WaitError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<M: Machine<WORDS>, F, const WORDS: usize> core::fmt::Display for WaitError<'_, M, F, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.error.fmt(f)
    }
}

impl<M: Machine<WORDS>, F, const WORDS: usize> core::error::Error for WaitError<'_, M, F, WORDS> {}
