//! A CPU that executes the instructions on entries that it keeps in a list.

use std::cell::{Cell, RefCell};
use std::vec::Vec;

use super::super::{CR3_PCID, Instructions, InvpcidType};

pub(super) const CURRENT: u64 = 5;
pub(super) const OTHER: u64 = 6;
// The bits of CR4 as the SDM has them.
pub(super) const PGE: u64 = 0x80;
const LA57: u64 = 0x1000;
const PCIDE: u64 = 0x2_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Invlpg(u64),
    Invpcid(InvpcidType, u64, u64),
    ReloadCr3,
    SetGlobalPages(bool),
}

/// A cached translation of one page of 4K.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pcid: u64,
    pub(super) address: u64,
    pub(super) is_global: bool,
}

/// One CPU whose instructions drop what the SDM says that they drop at least, and nothing else.
pub(super) struct Model {
    pub(super) has_invpcid: bool,
    pub(super) cr4: Cell<u64>,
    /// `INVLPG` spares global entries while PCIDs are on, as on some parts before their fix.
    spares_globals: bool,
    /// Somebody has promised that it does not.
    pub(super) is_known_to_drop_globals: bool,
    pub(super) entries: RefCell<Vec<Entry>>,
    pub(super) done: RefCell<Vec<Done>>,
    pub(super) faults: Cell<u32>,
}

impl Model {
    fn drop_where(&self, is_dropped: impl Fn(&Entry) -> bool) {
        self.entries.borrow_mut().retain(|entry| !is_dropped(entry));
    }

    pub(super) fn pcids(&self) -> bool {
        self.cr4.get() & PCIDE != 0
    }

    pub(super) fn is_canonical(&self, address: u64) -> bool {
        let sign = if self.cr4.get() & LA57 != 0 { 56 } else { 47 };
        let upper = address >> sign;
        upper == 0 || upper == u64::MAX >> sign
    }
}

impl Instructions for Model {
    fn has_invpcid(&self) -> bool {
        self.has_invpcid
    }

    fn invlpg_drops_globals(&self) -> bool {
        self.is_known_to_drop_globals
    }

    fn cr3(&self) -> u64 {
        // Without PCIDs these bits are flags of caching, not a number.
        0x1234_5000 | if self.pcids() { CURRENT } else { 0x18 }
    }

    fn cr4(&self) -> u64 {
        self.cr4.get()
    }

    fn reload_cr3(&self) {
        self.done.borrow_mut().push(Done::ReloadCr3);
        let pcids = self.pcids();
        self.drop_where(|entry| !entry.is_global && (!pcids || entry.pcid == CURRENT));
    }

    fn set_global_pages(&self, are_on: bool) {
        self.done.borrow_mut().push(Done::SetGlobalPages(are_on));
        let value = self.cr4.get() & !PGE | if are_on { PGE } else { 0 };
        if self.cr4.replace(value) != value {
            self.drop_where(|_| true);
        }
    }

    fn invlpg(&self, address: u64) {
        self.done.borrow_mut().push(Done::Invlpg(address));
        let (pcids, spares) = (self.pcids(), self.spares_globals);
        self.drop_where(|entry| {
            let of_space = !pcids || entry.pcid == CURRENT;
            let is_dropped = if entry.is_global {
                !(pcids && spares)
            } else {
                of_space
            };
            entry.address == address && is_dropped
        });
    }

    fn invpcid(&self, kind: InvpcidType, pcid: u64, address: u64) {
        self.done
            .borrow_mut()
            .push(Done::Invpcid(kind, pcid, address));
        let uses_pcid = matches!(kind, InvpcidType::Address | InvpcidType::Context);
        let faults = !self.has_invpcid
            || pcid > CR3_PCID
            || uses_pcid && pcid != 0 && !self.pcids()
            || kind == InvpcidType::Address && !self.is_canonical(address);
        if faults {
            self.faults.set(self.faults.get() + 1);
            return;
        }
        self.drop_where(|entry| match kind {
            InvpcidType::Address => {
                !entry.is_global && entry.pcid == pcid && entry.address == address
            }
            InvpcidType::Context => !entry.is_global && entry.pcid == pcid,
            InvpcidType::AllWithGlobals => true,
            InvpcidType::AllWithoutGlobals => !entry.is_global,
        });
    }
}

/// Every CPU that there can be: PCIDE, INVPCID, LA57, PGE, the fault of INVLPG, and the promise
/// that it is not there.
pub(super) fn models() -> impl Iterator<Item = Model> {
    let kinds = (0..64_u32).filter(|bits| bits & 48 != 48);
    kinds.map(|bits| {
        let bit = |number: u32, flag: u64| if bits & 1 << number == 0 { 0 } else { flag };
        Model {
            has_invpcid: bits & 1 != 0,
            cr4: Cell::new(0x620 | bit(1, PCIDE) | bit(2, LA57) | bit(3, PGE)),
            spares_globals: bits & 16 != 0,
            is_known_to_drop_globals: bits & 32 != 0,
            entries: RefCell::default(),
            done: RefCell::default(),
            faults: Cell::new(0),
        }
    })
}
