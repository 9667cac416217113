//! The registers of one unit and what a write to them must satisfy.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::{Faults, Knobs, MsrsAtInit, Offence, Rebase};

/// IA32_CORE_CAPABILITIES, read-only; bit 1 enumerates RAR.
pub const CORE_CAPABILITIES: u32 = 0xcf;
/// MSR_RAR_CONTROL: bit 31 ENABLE, bit 30 IGNORE_IF.
pub const CONTROL: u32 = 0xed;
/// MSR_RAR_ACTION_VECTOR_BASE: a physical address, 64-byte aligned.
pub const ACTION_VECTOR_BASE: u32 = 0xee;
/// MSR_RAR_PAYLOAD_TABLE_BASE: a physical address, 4 KiB aligned.
pub const PAYLOAD_TABLE_BASE: u32 = 0xef;
/// MSR_RAR_INFO, read-only: 37:32 highest table index, 31:0 payload types.
pub const INFO: u32 = 0xf0;

const ENABLE: u64 = 1 << 31;
const IGNORE_IF: u64 = 1 << 30;
/// Bits below the base of an action vector, and of a payload table.
const VECTOR_ALIGNMENT: u32 = 6;
const TABLE_ALIGNMENT: u32 = 12;
const RAR_CAPABILITY: u64 = 1 << 1;

/// Which instruction was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MsrOperation {
    /// RDMSR.
    Read,
    /// WRMSR, with its value.
    Write(u64),
}

/// The access raises #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GeneralProtection {
    /// The register.
    pub msr: u32,
    /// The access.
    pub operation: MsrOperation,
    /// Why.
    pub cause: MsrFault,
}

/// Why an access raises #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MsrFault {
    /// The unit has no such register.
    Unknown,
    /// The register is read-only.
    ReadOnly,
    /// These bits are reserved: alignment and bits at or above MAXPHYADDR, too.
    ReservedBits(u64),
    /// A base register, while ENABLE is 1.
    Enabled,
}

impl fmt::Display for MsrFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the register does not exist"),
            Self::ReadOnly => f.write_str("the register is read-only"),
            Self::ReservedBits(bits) => write!(f, "reserved bits {bits:#x} are set"),
            Self::Enabled => f.write_str("a base must not change while ENABLE is 1"),
        }
    }
}

impl fmt::Display for GeneralProtection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { msr, cause, .. } = self;
        match self.operation {
            MsrOperation::Read => write!(f, "#GP(0): RDMSR {msr:#x}: {cause}"),
            MsrOperation::Write(value) => write!(f, "#GP(0): WRMSR {msr:#x}, {value:#x}: {cause}"),
        }
    }
}

impl core::error::Error for GeneralProtection {}

#[derive(Debug, Default)]
pub(crate) struct Registers {
    control: AtomicU64,
    vector: AtomicU64,
    table: AtomicU64,
}

impl Registers {
    pub(crate) fn is_enabled(&self) -> bool {
        self.control.load(Ordering::Acquire) & ENABLE != 0
    }

    pub(crate) fn ignores_if(&self) -> bool {
        self.control.load(Ordering::Acquire) & IGNORE_IF != 0
    }

    pub(crate) fn vector(&self) -> u64 {
        self.vector.load(Ordering::Acquire)
    }

    pub(crate) fn table(&self) -> u64 {
        self.table.load(Ordering::Acquire)
    }

    pub(crate) fn read(&self, msr: u32, knobs: &Knobs) -> Result<u64, GeneralProtection> {
        match msr {
            CORE_CAPABILITIES => Ok(RAR_CAPABILITY),
            CONTROL => Ok(self.control.load(Ordering::Acquire)),
            ACTION_VECTOR_BASE => Ok(self.vector()),
            PAYLOAD_TABLE_BASE => Ok(self.table()),
            INFO => {
                let index = u64::from(knobs.table.max_index());
                Ok(index << 32 | u64::from(knobs.reported_types))
            }
            _ => Err(GeneralProtection {
                msr,
                operation: MsrOperation::Read,
                cause: MsrFault::Unknown,
            }),
        }
    }

    pub(crate) fn write(
        &self,
        msr: u32,
        value: u64,
        knobs: &Knobs,
    ) -> Result<(), GeneralProtection> {
        let fault = |cause| GeneralProtection {
            msr,
            operation: MsrOperation::Write(value),
            cause,
        };
        let (register, legal) = match msr {
            CONTROL => (&self.control, ENABLE | IGNORE_IF),
            ACTION_VECTOR_BASE => (&self.vector, address_bits(knobs, VECTOR_ALIGNMENT)),
            PAYLOAD_TABLE_BASE => (&self.table, address_bits(knobs, TABLE_ALIGNMENT)),
            CORE_CAPABILITIES | INFO => return Err(fault(MsrFault::ReadOnly)),
            _ => return Err(fault(MsrFault::Unknown)),
        };
        let accepted = legal | low_bits_accepted(msr, &knobs.faults);
        let reserved = value & !accepted;
        if knobs.msr_reserved_bits == Offence::Fail && reserved != 0 {
            return Err(fault(MsrFault::ReservedBits(reserved)));
        }
        if msr != CONTROL && knobs.rebase == Rebase::Fault && self.is_enabled() {
            return Err(fault(MsrFault::Enabled));
        }
        register.store(value & legal, Ordering::Release);
        Ok(())
    }

    pub(crate) fn init(&self, policy: MsrsAtInit) {
        if policy == MsrsAtInit::Clear {
            self.control.store(0, Ordering::Release);
            self.vector.store(0, Ordering::Release);
            self.table.store(0, Ordering::Release);
        }
    }
}

/// Returns the writable bits of an address register: below MAXPHYADDR, above the alignment.
fn address_bits(knobs: &Knobs, alignment: u32) -> u64 {
    let width = u32::from(knobs.physical_address_bits.min(52));
    ((1 << width) - 1) & (u64::MAX << alignment)
}

/// Returns the reserved low bits that a broken unit lets pass.
fn low_bits_accepted(msr: u32, faults: &Faults) -> u64 {
    let (accepted, bits) = match msr {
        CONTROL => (faults.control_low_bits_accepted, 30),
        ACTION_VECTOR_BASE => (faults.base_low_bits_accepted, VECTOR_ALIGNMENT),
        _ => (faults.base_low_bits_accepted, TABLE_ALIGNMENT),
    };
    if accepted { (1 << bits) - 1 } else { 0 }
}
