//! What one entry, or one instruction, removes from a TLB.

use crate::region::Region;
use crate::{PageReach, Pages, Pcids, Refused, StructureEntry, Tag, Translation};

/// Whether global translations are invalidated too.
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
    /// Every PCID of the guest with this VPID, and none of the host. No entry asks for it, but a
    /// broken unit may flush it.
    Guest(u16),
}

/// Which entries of the paging-structure caches are invalidated, in the same contexts as the
/// translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Structures {
    /// All, regardless of their address: as INVLPG and every flush of whole contexts.
    OfContexts,
    /// Those that a walk for one of the addresses would use: as INVPCID by address.
    OfAddresses,
    /// None. No instruction does so, but a broken unit may.
    Keep,
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
    /// Everything of every VPID except 0.
    All,
    /// Everything of one VPID except its global translations.
    OneExceptGlobals(u16),
}

/// What the TLB must remove before the unit may write SUCCESS.
///
/// The knobs are already applied: an implementer of [`Tlb`](crate::Tlb) needs no other knowledge of
/// RAR, and [`hits`](Self::hits) and [`hits_structure`](Self::hits_structure) decide each cached
/// entry.
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
        /// Paging-structure caches.
        structures: Structures,
    },
    /// Translations of all addresses.
    Everything {
        /// The contexts.
        contexts: Contexts,
        /// Global translations.
        globals: Globals,
        /// Paging-structure caches.
        structures: Structures,
    },
    /// Guest-physical and combined mappings: of one EPT pointer, or of all (`None`).
    Ept(Option<u64>),
    /// Linear and combined mappings of virtual processors.
    Vpid(Vpids),
}

impl Invalidation {
    /// Returns what INVLPG does, for each of `pages`: the current PCID and globals, and all
    /// structures of that PCID.
    #[must_use]
    pub const fn invlpg(pages: Pages) -> Self {
        Self::Pages {
            pages,
            reach: PageReach::Covering,
            contexts: Contexts::Current,
            globals: Globals::Include,
            structures: Structures::OfContexts,
        }
    }

    /// Returns what INVPCID type 0 does, for each of `pages`: one PCID without globals, and the
    /// structures on the way.
    #[must_use]
    pub const fn invpcid(pcid: u16, pages: Pages) -> Self {
        Self::Pages {
            pages,
            reach: PageReach::Covering,
            contexts: Contexts::Pcid(pcid),
            globals: Globals::Exclude,
            structures: Structures::OfAddresses,
        }
    }

    /// Returns the invalidation of whole contexts, as by INVPCID types 1 to 3 and MOV to CR3.
    #[must_use]
    pub const fn everything(contexts: Contexts, globals: Globals) -> Self {
        Self::Everything {
            contexts,
            globals,
            structures: Structures::OfContexts,
        }
    }

    /// Checks the PCID that is named, if one is.
    ///
    /// # Errors
    ///
    /// [`Refused::PcidsDisabled`] if it is not 0 while PCIDs are off.
    pub const fn check(&self, pcids: Pcids) -> Result<(), Refused> {
        match (pcids, self) {
            (
                Pcids::Disabled,
                Self::Pages {
                    contexts: Contexts::Pcid(pcid @ 1..),
                    ..
                }
                | Self::Everything {
                    contexts: Contexts::Pcid(pcid @ 1..),
                    ..
                },
            ) => Err(Refused::PcidsDisabled { pcid: *pcid }),
            _ => Ok(()),
        }
    }

    /// Returns whether a cached translation must go, on a CPU whose current PCID (0 while PCIDs are
    /// off) is `current_pcid`.
    ///
    /// For [`Ept`](Self::Ept) it returns true for all translations of guests, more than that names.
    #[must_use]
    pub fn hits(&self, held: &Translation, current_pcid: u16) -> bool {
        let pcid = match held.tag() {
            Tag::Pcid(pcid) => Some(pcid),
            Tag::Global => None,
        };
        match *self {
            Self::Pages {
                pages,
                reach,
                contexts,
                globals,
                ..
            } => {
                contexts.hold(held.vpid(), pcid, current_pcid)
                    && (pcid.is_some() || globals == Globals::Include)
                    && (reach != PageReach::SameSize || held.size() == pages.size)
                    && held.region().is_reached(pages, reach)
            }
            Self::Everything {
                contexts, globals, ..
            } => {
                contexts.hold(held.vpid(), pcid, current_pcid)
                    && (pcid.is_some() || globals == Globals::Include)
            }
            Self::Ept(_) => held.vpid() != 0,
            Self::Vpid(Vpids::OneExceptGlobals(vpid)) => held.vpid() == vpid && pcid.is_some(),
            Self::Vpid(vpids) => vpids.hold(held.vpid(), held.region()),
        }
    }

    /// Returns whether an entry of a paging-structure cache must go; as [`hits`](Self::hits).
    #[must_use]
    pub fn hits_structure(&self, held: &StructureEntry, current_pcid: u16) -> bool {
        match *self {
            Self::Pages {
                pages,
                reach,
                contexts,
                structures,
                ..
            } => {
                contexts.hold(held.vpid(), Some(held.pcid()), current_pcid)
                    && match structures {
                        Structures::OfContexts => true,
                        Structures::OfAddresses => held.region().is_reached(pages, reach),
                        Structures::Keep => false,
                    }
            }
            Self::Everything {
                contexts,
                structures,
                ..
            } => {
                contexts.hold(held.vpid(), Some(held.pcid()), current_pcid)
                    && structures != Structures::Keep
            }
            Self::Ept(_) => held.vpid() != 0,
            Self::Vpid(vpids) => vpids.hold(held.vpid(), held.region()),
        }
    }
}

impl Contexts {
    /// Whether something of this VPID and PCID (`None`: global) belongs to these contexts.
    fn hold(self, vpid: u16, pcid: Option<u16>, current_pcid: u16) -> bool {
        let of_host = |named| vpid == 0 && pcid.is_none_or(|own| own == named);
        match self {
            Self::Current => of_host(current_pcid),
            Self::Pcid(named) => of_host(named),
            Self::All => vpid == 0,
            Self::Guest(named) => vpid == named,
        }
    }
}

impl Vpids {
    /// Whether something of this VPID and region is named, globals aside.
    fn hold(self, vpid: u16, region: Region) -> bool {
        match self {
            Self::Pages { vpid: named, pages } => {
                vpid == named && region.is_reached(pages, PageReach::Covering)
            }
            Self::One(named) | Self::OneExceptGlobals(named) => vpid == named,
            Self::All => vpid != 0,
        }
    }
}
