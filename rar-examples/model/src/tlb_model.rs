//! A TLB with PCIDs, global pages and three page sizes.

use crate::{
    Contexts, Globals, Invalidation, PageReach, PageSize, Pages, Refused, Tag, Tlb, Translation,
};

/// CR4.PCIDE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pcids {
    /// CR4.PCIDE is 1: CR3 11:0 is the current PCID.
    Enabled,
    /// CR4.PCIDE is 0: the current PCID is 0.
    Disabled,
}

const PCID_MASK: u64 = 0xfff;
const KEEP_TRANSLATIONS: u64 = 1 << 63;

/// The TLB of one CPU, with room for `N` translations.
///
/// Rules as in SDM vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches". Unlike real TLBs it drops nothing on
/// its own until it is full (then in turn), so that a missing flush is always seen. Paging-structure caches are not modelled, nor
/// are accessed and dirty bits.
#[derive(Clone, Debug)]
pub struct TlbModel<const N: usize> {
    cr3: u64,
    pcids: Pcids,
    entries: [Option<Translation>; N],
    next_victim: usize,
}

impl<const N: usize> TlbModel<N> {
    /// Returns an empty TLB of a CPU with this CR3.
    #[must_use]
    pub const fn new(cr3: u64, pcids: Pcids) -> Self {
        Self {
            cr3: cr3 & !KEEP_TRANSLATIONS,
            pcids,
            entries: [None; N],
            next_victim: 0,
        }
    }

    /// Returns the current PCID; 0 while PCIDs are off.
    #[must_use]
    pub fn pcid(&self) -> u16 {
        match self.pcids {
            Pcids::Enabled => u16::try_from(self.cr3 & PCID_MASK).unwrap_or(0),
            Pcids::Disabled => 0,
        }
    }

    /// Caches a translation and returns the one that made room for it.
    ///
    /// A cached translation of the same page, size and tag is replaced and returned. With `N` = 0 nothing is cached.
    pub fn fill(&mut self, translation: Translation) -> Option<Translation> {
        let same = |held: &Option<Translation>| {
            held.is_some_and(|held| {
                held.linear() == translation.linear()
                    && held.size() == translation.size()
                    && held.tag() == translation.tag()
            })
        };
        let place = self
            .entries
            .iter()
            .position(same)
            .or_else(|| self.entries.iter().position(Option::is_none));
        let index = place.unwrap_or_else(|| {
            let victim = self.next_victim;
            self.next_victim = (victim + 1).checked_rem(N).unwrap_or(0);
            victim
        });
        self.entries.get_mut(index)?.replace(translation)
    }

    /// Returns the cached translation that an access at `address` uses now, if any.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<Translation> {
        let pcid = self.pcid();
        self.iter()
            .find(|translation| translation.serves(pcid, address))
    }

    /// Returns all cached translations, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Translation> {
        self.entries.iter().flatten().copied()
    }

    /// Does what MOV to CR3 does.
    ///
    /// With PCIDs, bit 63 of `value` keeps the translations of the new PCID; it is not stored. Without, it is ignored (a real CPU would
    /// raise #GP(0)). Global translations survive in any case.
    pub fn load_cr3(&mut self, value: u64) {
        self.cr3 = value & !KEEP_TRANSLATIONS;
        if self.pcids == Pcids::Disabled || value & KEEP_TRANSLATIONS == 0 {
            self.remove(Contexts::Current, Globals::Exclude, |_| true);
        }
    }

    /// Does what MOV to CR4 does when it changes PCIDE: turning it off empties the TLB.
    pub fn set_pcids(&mut self, pcids: Pcids) {
        if self.pcids == Pcids::Enabled && pcids == Pcids::Disabled {
            self.flush_all();
        }
        self.pcids = pcids;
    }

    /// Does what the INVLPG instruction does: the page of any size at `address`, of the current PCID or global.
    pub fn invlpg(&mut self, address: u64) {
        self.remove(Contexts::Current, Globals::Include, |held| {
            held.covers(address)
        });
    }

    /// Empties the TLB, as a change of CR4.PGE does.
    pub fn flush_all(&mut self) {
        self.remove(Contexts::All, Globals::Include, |_| true);
    }

    fn remove(&mut self, contexts: Contexts, globals: Globals, hit: impl Fn(&Translation) -> bool) {
        let pcid = match contexts {
            Contexts::Current => Some(self.pcid()),
            Contexts::Pcid(pcid) => Some(pcid),
            Contexts::All => None,
        };
        for place in &mut self.entries {
            let gone = place.is_some_and(|held| {
                let tagged = match held.tag() {
                    Tag::Global => globals == Globals::Include,
                    Tag::Pcid(own) => pcid.is_none_or(|pcid| pcid == own),
                };
                tagged && hit(&held)
            });
            if gone {
                *place = None;
            }
        }
    }
}

impl<const N: usize> Tlb for TlbModel<N> {
    fn cr3(&self) -> u64 {
        self.cr3
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        match invalidation {
            Invalidation::Pages {
                contexts: Contexts::Pcid(pcid @ 1..),
                ..
            }
            | Invalidation::Everything {
                contexts: Contexts::Pcid(pcid @ 1..),
                ..
            } if self.pcids == Pcids::Disabled => return Err(Refused::PcidsDisabled { pcid }),
            Invalidation::Pages {
                pages,
                reach,
                contexts,
                globals,
            } => self.remove(contexts, globals, |held| reaches(held, pages, reach)),
            Invalidation::Everything { contexts, globals } => {
                self.remove(contexts, globals, |_| true);
            }
            Invalidation::Ept(_) | Invalidation::Vpid(_) => return Err(Refused::NotInVmxRoot),
        }
        Ok(())
    }
}

fn reaches(held: &Translation, pages: Pages, reach: PageReach) -> bool {
    let covers = |size: PageSize| {
        held.size() == size && pages.addresses().any(|address| held.covers(address))
    };
    match reach {
        PageReach::Covering => covers(held.size()),
        PageReach::SameSize => covers(pages.size),
        PageReach::Span => held.overlaps(pages),
    }
}
