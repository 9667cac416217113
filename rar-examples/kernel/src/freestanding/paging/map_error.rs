//! Why a page was not mapped.

/// Why a page was not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
#[non_exhaustive]
pub enum MapError {
    /// No frame is left for a page table.
    OutOfFrames,
    /// The address is beyond what four levels, or the identity map, can reach.
    OutOfReach {
        /// The address.
        address: u64,
    },
    /// A larger page is mapped around the address already.
    LargePage {
        /// The address.
        address: u64,
    },
    /// The kernel's own page tables are not built yet.
    TooEarly,
}

impl core::fmt::Display for MapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OutOfFrames => {
                f.write_str("no frame is left for a page table: give the machine more memory")
            }
            Self::OutOfReach { address } => {
                write!(f, "{address:#x} is beyond the reach of the page tables")
            }
            Self::LargePage { address } => write!(f, "a larger page is mapped around {address:#x}"),
            Self::TooEarly => f.write_str("the page tables are not built yet"),
        }
    }
}

impl core::error::Error for MapError {}
