//! What is worth a line in a log: never the ordinary flush.

use rar_percpu::{CpuId, SlotIndex};

use crate::error::FlushError;
use crate::machine::{Message, NotSent};

/// Something rare, as [`Machine::report`](crate::Machine::report) hears of it.
///
/// With the feature `defmt` each is logged, too: errors as `error!`, the others as `warn!`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// A CPU refused an entry; it is asked for a full flush.
    Failure {
        /// The CPU.
        cpu: CpuId,
        /// The slot of the entry.
        slot: SlotIndex,
    },
    /// Targets were silent and are signalled once more.
    SecondSignal {
        /// The first of them.
        cpu: CpuId,
        /// How many they are.
        count: usize,
    },
    /// Targets did not answer the signal, or refused; each is asked for a full flush, with an
    /// interrupt.
    Fallback {
        /// The first of them.
        cpu: CpuId,
        /// How many they are.
        count: usize,
    },
    /// Targets did not answer the interrupt and get an NMI.
    Nmi {
        /// The first of them.
        cpu: CpuId,
        /// How many they are.
        count: usize,
    },
    /// No slot was to be had; the targets are asked for a full flush.
    NoSlot,
    /// A slot has a byte that is not final, and is set apart.
    Quarantine {
        /// The slot.
        slot: SlotIndex,
    },
    /// A message was not sent; the flush escalates at once.
    NotSent {
        /// What was to be sent.
        message: Message,
        /// Why it was not.
        cause: NotSent,
    },
    /// A CPU is alive, but its RAR unit is silent: it is flushed by generation from now on. Call
    /// [`RarCpu::verify`](rar_percpu::RarCpu::verify) on that CPU.
    Demotion {
        /// The CPU.
        cpu: CpuId,
    },
    /// A demoted CPU's unit has answered all that it was asked: the CPU is armed again.
    Promotion {
        /// The CPU.
        cpu: CpuId,
    },
    /// A flush did not end in time.
    Error(FlushError),
    /// A flush did not end where no caller can handle an error: what it owned is leaked, and stale
    /// translations may be left on the CPUs that the error names.
    Leaked(FlushError),
}

impl Event {
    #[cfg(feature = "defmt")]
    pub(crate) fn log(&self) {
        match self {
            Self::Error(_) | Self::Leaked(_) => defmt::error!("{}", self),
            Self::NoSlot | Self::Promotion { .. } => defmt::debug!("{}", self),
            _ => defmt::warn!("{}", self),
        }
    }
}

impl core::fmt::Display for Event {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Failure { cpu, slot } => {
                write!(f, "CPU {cpu}: answered FAILURE in slot {slot}")
            }
            Self::SecondSignal { cpu, count } => {
                write!(f, "CPU {cpu}: silent, signalled once more ({count} CPUs)")
            }
            Self::Fallback { cpu, count } => {
                write!(
                    f,
                    "CPU {cpu}: asked for a full flush by interrupt ({count} CPUs)"
                )
            }
            Self::Nmi { cpu, count } => {
                write!(f, "CPU {cpu}: asked for a full flush by NMI ({count} CPUs)")
            }
            Self::NoSlot => f.write_str("payload table: no free slot, flushing by interrupt"),
            Self::Quarantine { slot } => {
                write!(f, "slot {slot}: in quarantine, a CPU has not answered")
            }
            Self::NotSent { message, cause } => write!(f, "{message:?}: not sent, {cause}"),
            Self::Demotion { cpu } => {
                write!(
                    f,
                    "CPU {cpu}: RAR unit silent, flushed by interrupt from now on; verify the unit"
                )
            }
            Self::Promotion { cpu } => write!(f, "CPU {cpu}: RAR unit answers again"),
            Self::Error(error) => error.fmt(f),
            Self::Leaked(error) => write!(f, "memory leaked: {error}"),
        }
    }
}
