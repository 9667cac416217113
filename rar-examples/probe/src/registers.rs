//! What the registers of one CPU hold, and whether somebody uses RAR.

use rar_regs::{
    Cpuid, InterruptPolicy, MsrAccess, RarActionVectorBase, RarControl, RarPayloadTableBase,
    RarSupport, ReadError,
};

/// The three registers that a driver writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) control: Reading,
    pub(crate) action_vector_base: Reading,
    pub(crate) payload_table_base: Reading,
}

/// What a read of one register gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Its content.
    Value(u64),
    /// Its content, which has bits that are reserved.
    Reserved { value: u64, reserved: u64 },
    /// Nothing.
    Failed,
}

/// Whether a driver has switched RAR on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InUse {
    /// It is on.
    Yes(InterruptPolicy),
    /// It is off.
    No,
    /// The control register could not be read.
    Unknown,
}

impl Registers {
    /// Reads the three registers of the executing CPU.
    pub(crate) fn read<C: MsrAccess + Cpuid>(cpu: &C, support: &RarSupport) -> Self {
        Self {
            control: reading(RarControl::read(cpu, support).map(RarControl::bits)),
            action_vector_base: reading(
                RarActionVectorBase::read(cpu, support).map(RarActionVectorBase::bits),
            ),
            payload_table_base: reading(
                RarPayloadTableBase::read(cpu, support).map(RarPayloadTableBase::bits),
            ),
        }
    }

    /// Returns whether a driver has switched RAR on.
    pub(crate) fn in_use(&self) -> InUse {
        const ENABLE: u64 = 1 << 31;
        const IGNORE_IF: u64 = 1 << 30;
        match self.control.value() {
            None => InUse::Unknown,
            Some(control) if control & ENABLE == 0 => InUse::No,
            Some(control) if control & IGNORE_IF == 0 => InUse::Yes(InterruptPolicy::RespectIf),
            Some(_) => InUse::Yes(InterruptPolicy::IgnoreIf),
        }
    }
}

impl Reading {
    /// Returns the content, if there is one.
    pub(crate) const fn value(self) -> Option<u64> {
        match self {
            Self::Value(value) | Self::Reserved { value, .. } => Some(value),
            Self::Failed => None,
        }
    }
}

fn reading(read: Result<u64, ReadError>) -> Reading {
    match read {
        Ok(value) => Reading::Value(value),
        Err(ReadError::ReservedBits {
            value, reserved, ..
        }) => Reading::Reserved { value, reserved },
        Err(_) => Reading::Failed,
    }
}
