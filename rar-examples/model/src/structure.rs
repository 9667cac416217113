//! One entry of a paging-structure cache.

use crate::region::Region;

/// The level of a cached paging-structure entry; each level has its own cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// An entry of the PML4 table: leads to a page-directory-pointer table for 512 GiB.
    Pml4e,
    /// A page-directory-pointer-table entry: leads to a page directory for 1 GiB.
    Pdpte,
    /// A page-directory entry: leads to a page table for 2 MiB.
    Pde,
}

impl Level {
    /// Returns the size of the region of linear addresses that one entry serves.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Pml4e => 1 << 39,
            Self::Pdpte => 1 << 30,
            Self::Pde => 1 << 21,
        }
    }
}

/// What a walk may use instead of the upper paging structures: a linear-address prefix and the
/// table below it.
///
/// Such entries belong to a PCID; none is global (SDM vol. 3, "Caching Paging Structures").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StructureEntry {
    level: Level,
    linear: u64,
    pcid: u16,
    vpid: u16,
    next_table: u64,
}

impl StructureEntry {
    /// Returns an entry of the host for the region around `linear`.
    #[must_use]
    pub const fn new(level: Level, linear: u64, pcid: u16, next_table: u64) -> Self {
        Self {
            level,
            linear: Region::around(linear, level.bytes()).start(),
            pcid,
            vpid: 0,
            next_table,
        }
    }

    /// Returns the same entry of a guest.
    #[must_use]
    pub const fn of_guest(self, vpid: u16) -> Self {
        Self { vpid, ..self }
    }

    /// Returns which structure the entry is a copy of.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Returns the first linear address of the region.
    #[must_use]
    pub const fn linear(&self) -> u64 {
        self.linear
    }

    /// Returns the process-context identifier.
    #[must_use]
    pub const fn pcid(&self) -> u16 {
        self.pcid
    }

    /// Returns the virtual-processor identifier; 0 for the host.
    #[must_use]
    pub const fn vpid(&self) -> u16 {
        self.vpid
    }

    /// Returns the physical address of the table at which the walk continues.
    #[must_use]
    pub const fn next_table(&self) -> u64 {
        self.next_table
    }

    pub(crate) const fn region(&self) -> Region {
        Region::around(self.linear, self.level.bytes())
    }
}
