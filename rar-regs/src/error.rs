//! Why a register could not be read, and why a CPU is not supported.

use core::fmt;

use crate::{CoreCapabilities, CpuSignature, MsrFault, RarInfo, RarSupport};

/// A register whose content could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError {
    /// The read raised #GP(0).
    Fault(MsrFault),
    /// Bits are set that this revision of RAR does not define.
    ReservedBits {
        /// The address of the register.
        msr: u32,
        /// Its whole content.
        value: u64,
        /// Those of its bits that are reserved.
        reserved: u64,
    },
}

impl From<MsrFault> for ReadError {
    fn from(fault: MsrFault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::ReservedBits {
                msr,
                value,
                reserved,
            } => write!(
                f,
                "register {msr:#x} holds {value:#x} with reserved bits {reserved:#x} set: another \
                 revision of RAR, or firmware left them; write the register before relying on it"
            ),
        }
    }
}

impl core::error::Error for ReadError {}

/// Why RAR cannot be used on a CPU.
///
/// None of them is a reason to stop a system: flush with interrupts instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SupportError {
    /// CPUID has no leaf 7, so nothing announces the registers.
    NoFeatureLeaf {
        /// The highest basic leaf.
        max_leaf: u32,
    },
    /// CPUID leaf 7 says that `IA32_CORE_CAPABILITIES` does not exist.
    NoCoreCapabilities {
        /// EDX of the leaf; bit 30 is clear.
        edx: u32,
    },
    /// `IA32_CORE_CAPABILITIES` says that the CPU has no RAR.
    NoRarCapability {
        /// The register; bit 1 is clear.
        capabilities: CoreCapabilities,
    },
    /// The capability bit is set, but the bit is model-specific and this model is not on the list.
    UnlistedModel {
        /// The CPU.
        signature: CpuSignature,
    },
    /// `MSR_RAR_INFO` has bits set that this revision of RAR does not define.
    ReservedInfoBits {
        /// The register.
        info: RarInfo,
    },
    /// The payload table has fewer entries than were asked for.
    TableTooSmall {
        /// The entries of this CPU, 1 to 64.
        entries: u8,
        /// The entries asked for with
        /// [`Detection::minimum_entries`](crate::Detection::minimum_entries).
        minimum: u8,
    },
    /// The CPU lists its payload types, and INVPCID (type 2), which flushes are made of, is not
    /// among them: it would answer each of them with FAILURE.
    NoInvpcid {
        /// `MSR_RAR_INFO`; bit 2 is clear.
        info: RarInfo,
    },
    /// The CPU does not list a payload type that [`Detection::require`](crate::Detection::require)
    /// demands.
    MissingType {
        /// The lowest such type.
        payload_type: u8,
        /// `MSR_RAR_INFO`; its bits 31:0 list the types, or nothing is known of them if all are
        /// clear.
        info: RarInfo,
    },
    /// CPUID reports a physical address width that no CPU can have.
    AddressWidth {
        /// The reported number of bits.
        bits: u8,
    },
    /// A register that the CPU announced raised #GP(0).
    Fault(MsrFault),
    /// A later CPU has RAR, but not the same as the boot CPU.
    CpuDisagrees {
        /// The first property that differs.
        what: CpuMismatch,
        /// What detection found on the boot CPU.
        boot: RarSupport,
        /// What it found on this CPU.
        this: RarSupport,
    },
}

/// What all CPUs of a system must have in common to share RAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CpuMismatch {
    /// The vendor. Family, model and stepping may differ (hybrid and mixed-stepping systems).
    Vendor,
    /// The whole of `MSR_RAR_INFO`: table size and payload types.
    Info,
    /// The physical address width: addresses checked on one CPU are written on all.
    PhysicalAddressWidth,
}

impl From<MsrFault> for SupportError {
    fn from(fault: MsrFault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for SupportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFeatureLeaf { max_leaf } => write!(
                f,
                "no RAR: the highest CPUID leaf is {max_leaf:#x}, leaf 0x7 is needed; if the CPU \
                 should have it, lift the CPUID limit in the firmware or hypervisor; flush with \
                 interrupts"
            ),
            Self::NoCoreCapabilities { edx } => write!(
                f,
                "no RAR: CPUID leaf 0x7 EDX is {edx:#x}, bit 30 (IA32_CORE_CAPABILITIES) is \
                 clear; flush with interrupts"
            ),
            Self::NoRarCapability { capabilities } => write!(
                f,
                "no RAR: IA32_CORE_CAPABILITIES is {:#x}, bit 1 is clear; flush with interrupts",
                capabilities.bits()
            ),
            Self::UnlistedModel { signature } => write!(
                f,
                "{signature} sets the RAR capability bit but is not listed as having RAR; flush \
                 with interrupts, or detect with `models(ModelCheck::Any)` to try it"
            ),
            Self::ReservedInfoBits { info } => write!(
                f,
                "MSR_RAR_INFO is {:#x} with reserved bits {:#x} set, a revision of RAR that is \
                 not known here; flush with interrupts",
                info.bits(),
                info.reserved_bits()
            ),
            Self::TableTooSmall { entries, minimum } => write!(
                f,
                "the payload table has {entries} entries, {minimum} were asked for; lower \
                 `minimum_entries` or flush with interrupts"
            ),
            Self::NoInvpcid { info } => write!(
                f,
                "payload types: INVPCID is missing (got MSR_RAR_INFO {:#x}, expected bit 2 set); \
                 flush with interrupts",
                info.bits()
            ),
            Self::MissingType { payload_type, info } => write!(
                f,
                "payload types: {payload_type} is missing (got MSR_RAR_INFO {:#x}, expected bit \
                 {payload_type} set); detect without `require({payload_type})` or flush with \
                 interrupts",
                info.bits()
            ),
            Self::AddressWidth { bits } => write!(
                f,
                "CPUID leaf 0x80000008 reports {bits} physical address bits, 32 to 52 are \
                 possible; correct the firmware or hypervisor, or flush with interrupts"
            ),
            Self::Fault(fault) => {
                write!(
                    f,
                    "{fault}, although the CPU announces it; flush with interrupts"
                )
            }
            Self::CpuDisagrees { what, boot, this } => {
                match what {
                    CpuMismatch::Vendor => write!(
                        f,
                        "vendor {} on this CPU, {} on the boot CPU",
                        this.signature().vendor,
                        boot.signature().vendor
                    ),
                    CpuMismatch::Info => write!(
                        f,
                        "MSR_RAR_INFO is {:#x} on this CPU, {:#x} on the boot CPU",
                        this.info().bits(),
                        boot.info().bits()
                    ),
                    CpuMismatch::PhysicalAddressWidth => write!(
                        f,
                        "{} physical address bits on this CPU, {} on the boot CPU",
                        this.physical_address_width().bits(),
                        boot.physical_address_width().bits()
                    ),
                }?;
                write!(f, "; use RAR on no CPU and flush with interrupts")
            }
        }
    }
}

impl core::error::Error for SupportError {}
