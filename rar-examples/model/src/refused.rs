//! Why the CPU refuses an entry.

use core::fmt;

/// Why the CPU did not do what an entry asked. The unit answers FAILURE.
///
/// That these cases end in FAILURE, with no exception, is a decision of this model: no public
/// source names the causes of FAILURE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// A nonzero PCID was named while CR4.PCIDE is 0; the INVPCID instruction raises #GP(0) then
    /// (SDM vol. 2, INVPCID).
    PcidsDisabled {
        /// The PCID of the entry.
        pcid: u16,
    },
    /// INVEPT or INVVPID outside VMX root operation.
    NotInVmxRoot,
    /// WRMSR to this register with this value would raise #GP(0).
    MsrWrite {
        /// The register.
        msr: u32,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PcidsDisabled { pcid } => write!(f, "PCID {pcid} named while PCIDs are off"),
            Self::NotInVmxRoot => f.write_str("INVEPT or INVVPID outside VMX root operation"),
            Self::MsrWrite { msr } => write!(f, "MSR {msr:#x} refuses the value"),
        }
    }
}

impl core::error::Error for Refused {}
