//! Why a CPU was not launched. It goes on as it was.

use core::fmt;

/// Why a CPU was not launched. It goes on as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaunchError {
    /// CPUID does not offer SVM.
    NoSvm,
    /// VM_CR.SVMDIS is set: firmware has locked SVM.
    SvmLocked,
    /// The CPU runs under the shim already.
    AlreadyLaunched,
    /// Another CPU has this memory.
    MemoryTaken,
    /// Another CPU has this APIC id, or there are more CPUs than the shim has places.
    ApicId(u32),
    /// The local APIC is disabled.
    ApicMode,
    /// The configuration wants nested paging, and the CPU has none.
    NoNestedPaging,
    /// The configuration wants nested paging, and the CPU has no pages of 1 GiB for it.
    NoLargePages,
    /// The direct map does not begin at a multiple of 1 GiB.
    DirectMap(u64),
    /// The shim's page tables lie at this physical address, which the host does not map: without
    /// pages of 1 GiB it maps 16 GiB.
    OutOfReach(u64),
    /// The image is too large, or too scattered, for the shim's page tables.
    OutOfTables,
    /// Another CPU did not finish the shim's page tables in time.
    TablesBusy,
    /// This address of the shim's memory is not mapped, or not through the direct map.
    NotMapped(u64),
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSvm => f.write_str("the CPU has no SVM"),
            Self::SvmLocked => f.write_str("SVM is locked by VM_CR.SVMDIS"),
            Self::AlreadyLaunched => f.write_str("the CPU runs under the shim already"),
            Self::MemoryTaken => f.write_str("the memory belongs to another CPU"),
            Self::ApicId(id) => write!(f, "APIC id {id} is taken, or there are too many CPUs"),
            Self::ApicMode => f.write_str("the local APIC is disabled"),
            Self::NoNestedPaging => f.write_str("the CPU has no nested paging"),
            Self::NoLargePages => f.write_str("the CPU has no pages of 1 GiB for nested paging"),
            Self::DirectMap(start) => {
                write!(
                    f,
                    "the direct map begins at {start:#x}, no multiple of 1 GiB"
                )
            }
            Self::OutOfReach(physical) => write!(
                f,
                "the shim lies at physical address {physical:#x}, beyond what its host maps"
            ),
            Self::OutOfTables => f.write_str("the image needs more page tables than the shim has"),
            Self::TablesBusy => f.write_str("another CPU did not finish the shim's page tables"),
            Self::NotMapped(address) => write!(f, "{address:#x} is not mapped"),
        }
    }
}

impl core::error::Error for LaunchError {}
