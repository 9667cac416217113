//! What can go wrong in a flush.

use rar_percpu::{ActionByte, CpuId, SlotIndex};

use crate::machine::Machine;
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
        /// A slot whose byte the CPU did not turn to success, with the byte as it was last read; `None` if no slot was used.
        entry: Option<(SlotIndex, ActionByte)>,
    },
}

impl core::fmt::Display for FlushError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::NoAnswer { cpu, late, entry } => {
                write!(f, "CPU {cpu} did not answer a flush")?;
                if let Some((slot, byte)) = entry {
                    write!(
                        f,
                        " (slot {slot}, action byte {:#04x}, now in quarantine)",
                        byte.0
                    )?;
                }
                write!(
                    f,
                    ", nor its fallback; {late} CPUs are late. Wait again, or stop them before anything is freed"
                )
            }
        }
    }
}

impl core::error::Error for FlushError {}

/// A flush that did not end in time, with the [`Pending`] that still owns what must not be freed.
///
/// Take the pending flush out to wait again. Dropping it leaks what it owns.
#[must_use = "what the flush owns is leaked if this is dropped"]
pub struct WaitError<'s, M: Machine, F, const WORDS: usize> {
    /// What went wrong.
    pub error: FlushError,
    /// The flush; waiting again requests a full flush of the late CPUs.
    pub pending: Pending<'s, M, F, WORDS>,
}

impl<M: Machine, F, const WORDS: usize> core::fmt::Debug for WaitError<'_, M, F, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WaitError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<M: Machine, F, const WORDS: usize> core::fmt::Display for WaitError<'_, M, F, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.error.fmt(f)
    }
}

impl<M: Machine, F, const WORDS: usize> core::error::Error for WaitError<'_, M, F, WORDS> {}
