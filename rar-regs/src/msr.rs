//! The safe way to the registers: what must be known before an RDMSR, and the helpers that demand
//! it.

use crate::{CoreCapabilities, Cpuid, MsrAccess, MsrFault, MsrOperation, ReadError, SupportError};

/// Highest basic CPUID leaf in EAX, vendor in EBX, EDX and ECX.
pub(crate) const BASIC_LEAF: u32 = 0;
/// Structured extended features.
const FEATURE_LEAF: u32 = 7;
/// Leaf 7, EDX: `IA32_CORE_CAPABILITIES` exists (SDM vol. 2, CPUID; Linux split-lock series;
/// documented).
const CORE_CAPABILITIES_BIT: u32 = 1 << 30;

/// The four registers of RAR. They exist together: one capability bit speaks for all.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum RarMsr {
    Control = 0xed,
    ActionVectorBase = 0xee,
    PayloadTableBase = 0xef,
    Info = 0xf0,
}

/// Proof that this machine has the registers of [`RarMsr`]. Only [`check`](Self::check) makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct RarExists(());

impl RarExists {
    /// Asks CPUID, then `IA32_CORE_CAPABILITIES`; touches no other register.
    pub(crate) fn check<C: MsrAccess + Cpuid + ?Sized>(cpu: &C) -> Result<Self, SupportError> {
        let capabilities = read_core_capabilities(cpu)?;
        if capabilities.has_rar() {
            Ok(Self(()))
        } else {
            Err(SupportError::NoRarCapability { capabilities })
        }
    }
}

/// Reads `IA32_CORE_CAPABILITIES` after CPUID said that it exists.
pub(crate) fn read_core_capabilities<C: MsrAccess + Cpuid + ?Sized>(
    cpu: &C,
) -> Result<CoreCapabilities, SupportError> {
    let max_leaf = cpu.cpuid(BASIC_LEAF, 0).eax;
    if max_leaf < FEATURE_LEAF {
        return Err(SupportError::NoFeatureLeaf { max_leaf });
    }
    let edx = cpu.cpuid(FEATURE_LEAF, 0).edx;
    if edx & CORE_CAPABILITIES_BIT == 0 {
        return Err(SupportError::NoCoreCapabilities { edx });
    }
    // SAFETY: 1. duty 5 of the implementation of `MsrAccess`; 2. CPUID just said
    // that the register exists; 3. it is a read-only list of features.
    let bits = unsafe { cpu.read(CoreCapabilities::MSR) }?;
    Ok(CoreCapabilities::from_bits(bits))
}

/// Reads one of the RAR registers.
pub(crate) fn read<A: MsrAccess + ?Sized>(
    access: &A,
    _exists: RarExists,
    msr: RarMsr,
) -> Result<u64, MsrFault> {
    // SAFETY: 1. duty 5 of the implementation of `MsrAccess`; 2. `_exists`
    // proves that the register exists; 3. reading one of the four has no side effect.
    unsafe { access.read(msr as u32) }
}

/// Reads one of the RAR registers and refuses a value with bits of `reserved` set.
pub(crate) fn read_defined<A: MsrAccess + ?Sized>(
    access: &A,
    exists: RarExists,
    msr: RarMsr,
    reserved: u64,
) -> Result<u64, ReadError> {
    let value = read(access, exists, msr)?;
    match value & reserved {
        0 => Ok(value),
        reserved => Err(ReadError::ReservedBits {
            msr: msr as u32,
            value,
            reserved,
        }),
    }
}

/// Writes one of the RAR registers, unless `value` has bits of `reserved` set: by the rule for MSRs
/// that raises #GP(0), and no source says whether these four keep to it.
///
/// # Safety
///
/// 1. The effect of `value` on memory: duty 4 of [`MsrAccess::write`].
pub(crate) unsafe fn write_defined<A: MsrAccess + ?Sized>(
    access: &A,
    _exists: RarExists,
    msr: RarMsr,
    value: u64,
    reserved: u64,
) -> Result<(), MsrFault> {
    if value & reserved != 0 {
        return Err(MsrFault {
            msr: msr as u32,
            access: MsrOperation::Write,
        });
    }
    // SAFETY: 1. duty 5 of the implementation of `MsrAccess`; 2. `_exists`
    // proves that the register exists; 3. no reserved bit is set; 4. our caller's duty 1.
    unsafe { access.write(msr as u32, value) }
}
