//! The bits of a page-table entry (SDM vol. 3, "4-Level Paging and 5-Level Paging").

pub(super) const PRESENT: u64 = 1 << 0;
pub(super) const WRITABLE: u64 = 1 << 1;
/// User mode may do what the other bits allow, and supervisor mode nothing where SMAP is on.
pub const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
/// Accessed and dirty are set from the start: the processor then has no reason to write to an
/// entry.
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
pub(super) const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// The first physical address that no entry can hold.
pub(super) const END: u64 = 1 << 52;

/// What a page may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Loads.
    Read,
    /// Loads and stores.
    Write,
    /// Loads and instruction fetches.
    Execute,
    /// Everything: only the page where CPUs start.
    WriteExecute,
}

/// How the processor may cache a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Write back: RAM.
    WriteBack,
    /// Uncached: registers of devices.
    Uncached,
    /// Uncached unless firmware's memory types say that stores may be combined: the screen.
    Combining,
}

/// Which address spaces a translation serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageScope {
    /// The space whose PCID it was cached with.
    OneSpace,
    /// Every space: it stays when CR3 is loaded.
    Global,
}

/// The bits of a leaf that every mapping of this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) no_execute: bool,
    pub(super) global: bool,
}

impl Offered {
    pub(super) const fn leaf(self, frame: u64, permission: Permission, cache: Cache) -> u64 {
        let mut bits = frame & FRAME | PRESENT | ACCESSED | DIRTY;
        if matches!(permission, Permission::Write | Permission::WriteExecute) {
            bits |= WRITABLE;
        }
        if self.no_execute && matches!(permission, Permission::Read | Permission::Write) {
            bits |= NO_EXECUTE;
        }
        if self.global {
            bits |= GLOBAL;
        }
        if matches!(cache, Cache::Uncached) {
            bits |= CACHE_DISABLE | WRITE_THROUGH;
        }
        // UC- in the page attribute table after reset: the one type that leaves the choice to the
        // MTRRs (SDM vol. 3, "Page Attribute Table").
        if matches!(cache, Cache::Combining) {
            bits |= CACHE_DISABLE;
        }
        bits
    }
}

/// The entry that leads to a table. It forbids nothing: the leaves say what a page is for.
pub(super) const fn table(frame: u64) -> u64 {
    frame & FRAME | PRESENT | WRITABLE | USER | ACCESSED
}

/// The physical address in an entry.
pub(super) const fn frame(entry: u64) -> u64 {
    entry & FRAME
}
