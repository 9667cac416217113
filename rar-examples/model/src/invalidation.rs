//! What one entry, or one instruction, takes out of a TLB.

use crate::{PageReach, Pages};

/// Whether global translations go too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Globals {
    /// Global translations are invalidated.
    Include,
    /// Global translations stay.
    Exclude,
}

/// Which process contexts an invalidation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contexts {
    /// The PCID that is current on this CPU; 0 while PCIDs are off.
    Current,
    /// The named PCID, 0..=4095, current or not.
    Pcid(u16),
    /// Every PCID.
    All,
}

/// What an INVVPID-like entry reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vpids {
    /// Some pages of one VPID.
    Pages {
        /// The virtual-processor identifier, never 0.
        vpid: u16,
        /// The pages.
        pages: Pages,
    },
    /// Everything of one VPID.
    One(u16),
    /// Everything of every VPID but 0.
    All,
    /// Everything of one VPID but its global translations.
    OneExceptGlobals(u16),
}

/// What must be gone before the unit may write SUCCESS.
///
/// The knobs are already applied: an implementer of [`Tlb`](crate::Tlb) needs no other knowledge of RAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalidation {
    /// Translations of a list of pages.
    Pages {
        /// The pages.
        pages: Pages,
        /// Which cached page sizes an address of the list reaches.
        reach: PageReach,
        /// The contexts.
        contexts: Contexts,
        /// Global translations of these pages.
        globals: Globals,
    },
    /// Translations of all addresses.
    Everything {
        /// The contexts.
        contexts: Contexts,
        /// Global translations.
        globals: Globals,
    },
    /// Guest-physical and combined mappings: of one EPT pointer, or of all (`None`).
    Ept(Option<u64>),
    /// Linear and combined mappings of virtual processors.
    Vpid(Vpids),
}
