//! One cached translation.

use crate::PageSize;
use crate::region::Region;

/// The tag of a cached translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// A non-global translation of one process-context identifier (0..=4095).
    Pcid(u16),
    /// A global translation, used under every PCID.
    Global,
}

/// A translation as a TLB holds it: one page, of one size, for one [`Tag`] of the host or of one
/// guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Translation {
    linear: u64,
    physical: u64,
    size: PageSize,
    tag: Tag,
    vpid: u16,
    writable: bool,
    dirty: bool,
}

impl Translation {
    /// Returns a writable, dirty translation of the host; both addresses are rounded down to the
    /// page size.
    #[must_use]
    pub const fn new(linear: u64, physical: u64, size: PageSize, tag: Tag) -> Self {
        Self {
            linear: size.start_of(linear),
            physical: size.start_of(physical),
            size,
            tag,
            vpid: 0,
            writable: true,
            dirty: true,
        }
    }

    /// Returns the same translation of a guest.
    #[must_use]
    pub const fn of_guest(self, vpid: u16) -> Self {
        Self { vpid, ..self }
    }

    /// Returns the same translation without write permission.
    #[must_use]
    pub const fn read_only(self) -> Self {
        Self {
            writable: false,
            ..self
        }
    }

    /// Returns the same translation of a page whose entry has D = 0.
    ///
    /// A store cannot use it: it walks the tables first, and sets D.
    #[must_use]
    pub const fn clean(self) -> Self {
        Self {
            dirty: false,
            ..self
        }
    }

    /// Returns the linear address of the page.
    #[must_use]
    pub const fn linear(&self) -> u64 {
        self.linear
    }

    /// Returns the physical address of the page.
    #[must_use]
    pub const fn physical(&self) -> u64 {
        self.physical
    }

    /// Returns the page size.
    #[must_use]
    pub const fn size(&self) -> PageSize {
        self.size
    }

    /// Returns the tag of the translation.
    #[must_use]
    pub const fn tag(&self) -> Tag {
        self.tag
    }

    /// Returns the virtual-processor identifier; 0 for the host.
    #[must_use]
    pub const fn vpid(&self) -> u16 {
        self.vpid
    }

    /// Returns whether the cached permission allows writes.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.writable
    }

    /// Returns whether a store may use it without setting the D bit of the entry.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Returns whether the page holds `address`.
    #[must_use]
    pub const fn covers(&self, address: u64) -> bool {
        self.region().holds(address)
    }

    /// Returns whether an access at `address` under `pcid` may use this translation, within its
    /// VPID.
    #[must_use]
    pub const fn serves(&self, pcid: u16, address: u64) -> bool {
        let tagged = match self.tag {
            Tag::Pcid(own) => own == pcid,
            Tag::Global => true,
        };
        tagged && self.covers(address)
    }

    /// Returns the physical address of `address`, which the page must contain.
    #[must_use]
    pub const fn physical_of(&self, address: u64) -> u64 {
        self.physical | (address & (self.size.bytes() - 1))
    }

    pub(crate) const fn region(&self) -> Region {
        Region::around(self.linear, self.size.bytes())
    }
}
