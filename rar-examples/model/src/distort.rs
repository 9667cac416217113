//! From the invalidation that an entry asks for to the one that a broken unit performs.

use crate::{
    Contexts, CountedPages, Faults, Globals, Invalidation, Leftovers, PageSize, Pages, Structures,
    UsedPcid,
};

impl Faults {
    /// Returns `invalidation` as these faults change it, on a CPU that runs the guest `vpid` (0:
    /// none).
    ///
    /// INVEPT and INVVPID stay as they are.
    pub(crate) fn distort(&self, invalidation: Invalidation, vpid: u16) -> Invalidation {
        match invalidation {
            Invalidation::Pages {
                pages,
                reach,
                contexts,
                globals,
                structures,
            } => Invalidation::Pages {
                pages: self.pages(pages),
                reach,
                contexts: self.contexts(contexts, vpid),
                globals: self.globals(globals),
                structures: self.structures(structures),
            },
            Invalidation::Everything {
                contexts,
                globals,
                structures,
            } => Invalidation::Everything {
                contexts: self.contexts(contexts, vpid),
                globals: self.globals(globals),
                structures: self.structures(structures),
            },
            Invalidation::Ept(_) | Invalidation::Vpid(_) => invalidation,
        }
    }

    /// Returns what stays of what an invalidation names.
    pub(crate) const fn leftovers(&self) -> Leftovers {
        Leftovers {
            walks: self.walks_kept,
            dirty_bits: self.dirty_bits_kept,
        }
    }

    fn pages(&self, pages: Pages) -> Pages {
        Pages {
            start: pages.start,
            size: if self.stride_ignored {
                PageSize::Size4K
            } else {
                pages.size
            },
            count: match self.counted_pages {
                CountedPages::AsEncoded => pages.count,
                CountedPages::OneFewer => pages.count.saturating_sub(1),
                CountedPages::OneMore => pages.count.saturating_add(1),
            },
        }
    }

    fn contexts(&self, contexts: Contexts, vpid: u16) -> Contexts {
        if self.guest_flushed && vpid != 0 {
            return Contexts::Guest(vpid);
        }
        match (contexts, self.used_pcid) {
            (Contexts::Pcid(pcid), UsedPcid::OneLess) => {
                Contexts::Pcid(pcid.wrapping_sub(1) & 0xfff)
            }
            (Contexts::Pcid(_), UsedPcid::Current) => Contexts::Current,
            _ => contexts,
        }
    }

    fn globals(&self, globals: Globals) -> Globals {
        if self.globals_kept {
            Globals::Exclude
        } else {
            globals
        }
    }

    fn structures(&self, structures: Structures) -> Structures {
        if self.structures_kept {
            Structures::Keep
        } else {
            structures
        }
    }
}
