//! What the next flush is for.

use rar_suite::Space;
use rar_vocabulary::SoakOperation;

/// What the next flush is for: the pages that change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) operation: SoakOperation,
    pub(crate) space: Space,
    /// Its pages, and those of another space; without the global ones.
    pub(crate) parts: [(Space, u64); 2],
    /// Pages of all spaces.
    pub(crate) global: u64,
    /// The space that becomes a copy, or gets the PCID.
    pub(crate) other: Option<Space>,
    /// Whether the space loses its PCID. No CPU runs in it during the flush.
    pub(crate) loses_pcid: bool,
    /// Whether the page table of the space is replaced, and is free afterwards.
    pub(crate) frees_table: bool,
}

impl Plan {
    pub(crate) fn new(operation: SoakOperation, space: Space, mask: u64) -> Self {
        Self {
            operation,
            space,
            parts: [(space, mask), (space, 0)],
            global: 0,
            other: None,
            loses_pcid: false,
            frees_table: operation == SoakOperation::Tables,
        }
    }

    /// Returns a plan for a global page.
    pub(crate) fn of_global(page: u16) -> Self {
        Self {
            global: 1 << page,
            ..Self::new(SoakOperation::Kernel, Space::First, 0)
        }
    }

    /// Returns the same with pages of another space.
    pub(crate) fn and(self, part: (Space, u64)) -> Self {
        let [first, _] = self.parts;
        Self {
            parts: [first, part],
            ..self
        }
    }

    /// All pages of a space that change.
    pub(crate) fn mask(&self, space: Space) -> u64 {
        let own = self.parts.iter().filter(|(of, _)| *of == space);
        own.fold(self.global, |all, (_, mask)| all | mask)
    }

    /// The space that gets the PCID.
    pub(crate) fn heir(&self) -> Option<Space> {
        self.other.filter(|_| self.loses_pcid)
    }
}
