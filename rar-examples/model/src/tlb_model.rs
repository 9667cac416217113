//! A TLB with PCIDs, VPIDs, global pages and three page sizes, and the paging-structure caches
//! beside it.

use crate::cache::Cache;
use crate::{
    Contexts, Globals, Invalidation, PageSize, Pages, Pcids, Refused, StructureEntry, Tlb,
    Translation, Vpids,
};

const PCID_MASK: u64 = 0xfff;
const KEEP_TRANSLATIONS: u64 = 1 << 63;

/// The TLB of one CPU, with room for `N` translations and `S` entries of paging-structure caches.
///
/// Rules as in SDM vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches". Unlike
/// real TLBs it evicts nothing until it is full (then in turn), so a missing flush is always
/// visible. A translation only records D: the machine's walker sets the bits in the tables. A
/// guest's own instructions are not modelled.
#[derive(Clone, Debug)]
pub struct TlbModel<const N: usize, const S: usize = 0> {
    cr3: u64,
    pcids: Pcids,
    guest: Option<Guest>,
    translations: Cache<Translation, N>,
    structures: Cache<StructureEntry, S>,
}

/// Whose translations accesses use in VMX non-root operation.
#[derive(Clone, Copy, Debug)]
struct Guest {
    vpid: u16,
    pcid: u16,
}

impl<const N: usize> TlbModel<N> {
    /// Returns an empty TLB without paging-structure caches, of a CPU with this CR3.
    #[must_use]
    pub const fn new(cr3: u64, pcids: Pcids) -> Self {
        Self::with_structures(cr3, pcids)
    }
}

impl<const N: usize, const S: usize> TlbModel<N, S> {
    /// Returns an empty TLB with empty paging-structure caches, of a CPU with this CR3.
    #[must_use]
    pub const fn with_structures(cr3: u64, pcids: Pcids) -> Self {
        Self {
            cr3: cr3 & !KEEP_TRANSLATIONS,
            pcids,
            guest: None,
            translations: Cache::new(),
            structures: Cache::new(),
        }
    }

    /// Returns the current PCID of the host; 0 while PCIDs are off.
    #[must_use]
    pub fn pcid(&self) -> u16 {
        match self.pcids {
            Pcids::Enabled => u16::try_from(self.cr3 & PCID_MASK).unwrap_or(0),
            Pcids::Disabled => 0,
        }
    }

    /// Caches a translation and returns the one that made room for it.
    ///
    /// A cached translation of the same page, size and tag is replaced and returned. With `N` = 0
    /// nothing is cached.
    pub fn fill(&mut self, translation: Translation) -> Option<Translation> {
        let key = |held: &Translation| (held.linear(), held.size(), held.tag(), held.vpid());
        self.translations
            .put(translation, |held| key(held) == key(&translation))
    }

    /// Caches an entry of a paging structure and returns the one that made room for it; as
    /// [`fill`](Self::fill).
    pub fn fill_structure(&mut self, entry: StructureEntry) -> Option<StructureEntry> {
        let key = |held: &StructureEntry| (held.level(), held.linear(), held.pcid(), held.vpid());
        self.structures.put(entry, |held| key(held) == key(&entry))
    }

    /// Returns the cached translation that an access at `address` uses now, if any.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<Translation> {
        let (vpid, pcid) = self.space();
        self.iter()
            .find(|held| held.vpid() == vpid && held.serves(pcid, address))
    }

    /// Returns the cached structure entry at which a walk for `address` starts now: the one nearest
    /// to the page.
    #[must_use]
    pub fn lookup_structure(&self, address: u64) -> Option<StructureEntry> {
        let space = self.space();
        self.structures()
            .filter(|held| (held.vpid(), held.pcid()) == space && held.region().holds(address))
            .max_by_key(StructureEntry::level)
    }

    /// Returns all cached translations, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Translation> {
        self.translations.iter()
    }

    /// Returns all entries of the paging-structure caches, in no particular order.
    pub fn structures(&self) -> impl Iterator<Item = StructureEntry> {
        self.structures.iter()
    }

    /// Lets accesses use the translations of a guest from now on; its VPID is never 0.
    pub const fn enter_guest(&mut self, vpid: u16, pcid: u16) {
        self.guest = Some(Guest { vpid, pcid });
    }

    /// Lets accesses use the translations of the host again.
    pub const fn leave_guest(&mut self) {
        self.guest = None;
    }

    /// Removes all translations and structure entries of a guest, as INVVPID of one VPID does.
    pub fn forget_guest(&mut self, vpid: u16) {
        self.remove(Invalidation::Vpid(Vpids::One(vpid)));
    }

    /// Does what MOV to CR3 does.
    ///
    /// With PCIDs, bit 63 of `value` keeps the translations of the new PCID; it is not stored.
    /// Without, it is ignored (a real CPU would raise #GP(0)). Global translations survive in any
    /// case.
    pub fn load_cr3(&mut self, value: u64) {
        self.cr3 = value & !KEEP_TRANSLATIONS;
        if self.pcids == Pcids::Disabled || value & KEEP_TRANSLATIONS == 0 {
            self.remove(Invalidation::everything(
                Contexts::Current,
                Globals::Exclude,
            ));
        }
    }

    /// Does what MOV to CR4 does when it changes PCIDE: turning it off empties the TLB.
    pub fn set_pcids(&mut self, pcids: Pcids) {
        if self.pcids == Pcids::Enabled && pcids == Pcids::Disabled {
            self.flush_all();
        }
        self.pcids = pcids;
    }

    /// Does what the INVLPG instruction does: the page of any size at `address`, of the current
    /// PCID or global, and every structure entry of the current PCID.
    pub fn invlpg(&mut self, address: u64) {
        let page = Pages::one(address, PageSize::Size4K);
        self.remove(Invalidation::invlpg(page));
    }

    /// Removes everything of the host, as a change of CR4.PGE does.
    pub fn flush_all(&mut self) {
        self.remove(Invalidation::everything(Contexts::All, Globals::Include));
    }

    fn remove(&mut self, invalidation: Invalidation) {
        let pcid = self.pcid();
        self.translations
            .remove(|held| invalidation.hits(held, pcid));
        self.structures
            .remove(|held| invalidation.hits_structure(held, pcid));
    }

    /// Returns the VPID and the PCID under which an access looks up, and a walk fills, the TLB now.
    #[must_use]
    pub fn space(&self) -> (u16, u16) {
        self.guest
            .map_or((0, self.pcid()), |guest| (guest.vpid, guest.pcid))
    }
}

impl<const N: usize, const S: usize> Tlb for TlbModel<N, S> {
    fn cr3(&self) -> u64 {
        self.cr3
    }

    fn vpid(&self) -> u16 {
        self.space().0
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        if matches!(invalidation, Invalidation::Ept(_) | Invalidation::Vpid(_)) {
            return Err(Refused::NotInVmxRoot);
        }
        invalidation.check(self.pcids)?;
        self.remove(invalidation);
        Ok(())
    }
}
