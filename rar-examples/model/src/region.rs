//! The linear addresses that one cached entry serves.

use crate::{PageReach, Pages};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Region {
    start: u64,
    bytes: u64,
}

impl Region {
    /// The naturally aligned piece of `bytes`, a power of two, around `address`.
    pub(crate) const fn around(address: u64, bytes: u64) -> Self {
        Self {
            start: address & !(bytes - 1),
            bytes,
        }
    }

    pub(crate) const fn start(self) -> u64 {
        self.start
    }

    pub(crate) const fn holds(self, address: u64) -> bool {
        address & !(self.bytes - 1) == self.start
    }

    /// Whether `pages` name an address in here, or, for [`PageReach::Span`], touch any byte of it.
    pub(crate) fn is_reached(self, pages: Pages, reach: PageReach) -> bool {
        match reach {
            PageReach::Covering | PageReach::SameSize => {
                pages.addresses().any(|address| self.holds(address))
            }
            PageReach::Span => {
                let own_last = self.start | (self.bytes - 1);
                let span_last = pages.last() | (pages.size.bytes() - 1);
                pages.count > 0 && self.start <= span_last && pages.start <= own_last
            }
        }
    }
}
