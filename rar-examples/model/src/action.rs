//! The meaning of a legal payload.

use crate::{Globals, Pages};

/// What a legal payload asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Types 0 and 1: imitate INVLPG, or the flush of a CR3 or CR0 write.
    Invpg {
        /// Act only if CR3 matches; `None` for type 1.
        cr3: Option<u64>,
        /// The translations to flush.
        scope: InvpgScope,
    },
    /// Type 2: imitate INVPCID.
    Invpcid(InvpcidScope),
    /// Type 3: imitate INVEPT for one EPT pointer, or for all. The subtypes are those of the
    /// instruction, by guess.
    Invept(Option<u64>),
    /// Type 4: imitate INVVPID. The subtypes are those of the instruction, by guess.
    Invvpid(InvvpidScope),
    /// Type 5: imitate WRMSR. That the register number is qword 0, 63:32 is a guess.
    Wrmsr {
        /// The register.
        msr: u32,
        /// The value.
        value: u64,
    },
}

/// The subtypes of INVPG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvpgScope {
    /// 0: an address range.
    Pages(Pages),
    /// 2: everything including globals; 3: everything except globals.
    All(Globals),
}

/// The subtypes of INVPCID, numbered as the types of the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvpcidScope {
    /// 0: an address range of one PCID.
    Pages {
        /// The PCID, 0..=4095.
        pcid: u16,
        /// The pages.
        pages: Pages,
    },
    /// 1: one PCID.
    Context {
        /// The PCID, 0..=4095.
        pcid: u16,
    },
    /// 2: all PCIDs including globals; 3: all PCIDs except globals.
    AllContexts(Globals),
}

/// The subtypes of INVVPID; see [`Vpids`](crate::Vpids).
pub type InvvpidScope = crate::Vpids;
