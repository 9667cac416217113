//! The legal actions of one entry.

use crate::{Cr3, Globals, PageChunk, Pcid};
#[cfg(feature = "unverified")]
use crate::{InveptScope, InvvpidScope, MsrWrite};

/// One legal action of the hardware: it stands for exactly one entry, and each valid entry for one
/// `Operation`.
///
/// The numbers of types 0 to 2 and of their subtypes are those of Intel's own Linux branch of 2019
/// and of Linux RFC v4 (code). The latter ran on silicon, and sent only type 2, with subtypes 0 to
/// 2. What a processor answers to an illegal entry is unknown; presumably FAILURE. Bits 31:0 of
/// `MSR_RAR_INFO` list the types of a processor (remembered documentation); ask with
/// [`payload_type`](Self::payload_type).
///
/// # Examples
///
/// ```
/// use rar_payload::{InvpcidScope, Operation, Pcid};
///
/// const FLUSH: Operation = Operation::Invpcid(InvpcidScope::Context { pcid: Pcid::ZERO });
/// const WORDS: [u64; 8] = FLUSH.encode().words();
/// assert_eq!(WORDS, [0x1_0000_0200, 0, 0, 0, 0, 0, 0, 0]);
/// assert_eq!(Operation::decode(&WORDS.into()), Ok(FLUSH));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Operation {
    /// Types 0 and 1: imitates INVLPG, or the flush done by writing CR3 or CR0.
    ///
    /// Only type 0 was used in public code, only with PCIDs off, and only by Intel's branch of
    /// 2019. Unknown are: which bits of CR3 are compared; whether a mismatch is answered by SUCCESS
    /// (expected); which PCID is meant while PCIDs are on (presumably the target's current one, as
    /// for INVLPG); whether a page range drops global translations, as INVLPG does.
    Invpg {
        /// `Some` is type 0: act only where CR3 matches. `None` is type 1: act without comparing.
        cr3: Option<Cr3>,
        /// What to invalidate.
        scope: InvpgScope,
    },
    /// Type 2: imitates INVPCID.
    Invpcid(InvpcidScope),
    /// Type 3: imitates INVEPT.
    ///
    /// No public code uses it; its subtypes are inferred from the instruction's types.
    #[cfg(feature = "unverified")]
    Invept(InveptScope),
    /// Type 4: imitates INVVPID.
    ///
    /// No public code uses it; its subtypes are inferred from the instruction's types.
    #[cfg(feature = "unverified")]
    Invvpid(InvvpidScope),
    /// Type 5: imitates WRMSR.
    ///
    /// Layout in part inferred, see [`MsrWrite`]. It is never retried and has no fallback.
    #[cfg(feature = "unverified")]
    MsrWrite(MsrWrite),
}

/// What an INVPG entry invalidates. Subtype 1 is not defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvpgScope {
    /// Subtype 0: some pages.
    Pages(PageChunk),
    /// Subtype 2 (global translations included) or 3 (excluded): everything.
    All(Globals),
}

/// What an INVPCID entry invalidates. The subtypes equal the types of the INVPCID instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvpcidScope {
    /// Subtype 0: some pages of one PCID. Global translations stay: Linux RFC v4 flushes kernel
    /// ranges by subtype 2 for that reason (code).
    Pages {
        /// The address space.
        pcid: Pcid,
        /// The pages.
        pages: PageChunk,
    },
    /// Subtype 1: all of one PCID. Global translations stay, as with the instruction (inferred).
    Context {
        /// The address space.
        pcid: Pcid,
    },
    /// Subtype 2 (global translations included) or 3 (excluded): every PCID.
    AllContexts(Globals),
}

impl Operation {
    /// Returns the payload type: the number in the entry's type field, and the bit in
    /// `MSR_RAR_INFO` that says the processor knows it.
    #[must_use]
    #[inline]
    pub const fn payload_type(&self) -> u8 {
        match self {
            Self::Invpg { cr3: Some(_), .. } => 0,
            Self::Invpg { cr3: None, .. } => 1,
            Self::Invpcid(_) => 2,
            #[cfg(feature = "unverified")]
            Self::Invept(_) => 3,
            #[cfg(feature = "unverified")]
            Self::Invvpid(_) => 4,
            #[cfg(feature = "unverified")]
            Self::MsrWrite(_) => 5,
        }
    }
}
