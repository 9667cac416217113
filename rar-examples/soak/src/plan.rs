//! What the next flush is for.

use rar_payload::{Globals, PageRange, PageSize, Request, TableOwner};
use rar_suite::{Page, Platform, Space};
use rar_vocabulary::SoakOperation;

use crate::cpu::Cpu;
use crate::layout::index;

/// What the next flush is for: the pages of each space that change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) operation: SoakOperation,
    pub(crate) space: Space,
    masks: [u64; 2],
}

/// The requests of one flush, and who is to be flushed.
pub(crate) struct Requests {
    requests: [Request; 2],
    count: usize,
    /// The CPUs of this space, or all that are online.
    pub(crate) targets: Option<Space>,
}

impl Requests {
    pub(crate) fn as_slice(&self) -> &[Request] {
        self.requests.get(..self.count).unwrap_or_default()
    }
}

impl Plan {
    pub(crate) fn new(operation: SoakOperation, space: Space, mask: u64) -> Self {
        let mut masks = [0; 2];
        if let Some(own) = masks.get_mut(index(space)) {
            *own = mask;
        }
        Self {
            operation,
            space,
            masks,
        }
    }

    /// Returns the same with these pages in the first and in the second space.
    pub(crate) const fn with(self, masks: [u64; 2]) -> Self {
        Self { masks, ..self }
    }

    pub(crate) const fn masks(&self) -> [u64; 2] {
        self.masks
    }

    pub(crate) fn mask(&self, space: Space) -> u64 {
        let [first, second] = self.masks;
        match space {
            Space::First => first,
            Space::Second => second,
        }
    }

    /// Returns what is to be flushed.
    pub(crate) fn requests<L: Platform>(&self, cpu: &Cpu<'_, L>) -> Requests {
        let pages = |space| {
            let pcid = cpu.platform.pcid(space);
            match range_of(cpu, self.mask(space)) {
                Some(range) => Request::Pages { pcid, range },
                None => Request::AddressSpace { pcid },
            }
        };
        let one = |request, targets| Requests {
            requests: [request; 2],
            count: 1,
            targets,
        };
        let space = self.space;
        match self.operation {
            SoakOperation::Exit | SoakOperation::Fork => {
                let pcid = cpu.platform.pcid(space);
                one(Request::AddressSpace { pcid }, Some(space))
            }
            // The table also maps the global pages.
            SoakOperation::Tables => one(Request::TablesFreed(TableOwner::Kernel), None),
            SoakOperation::Kernel => {
                let everything = Request::Everything {
                    globals: Globals::Include,
                };
                let range = range_of(cpu, self.mask(space));
                let global = range.map(|range| Request::GlobalPages { range });
                one(global.unwrap_or(everything), None)
            }
            SoakOperation::Several => Requests {
                requests: [pages(Space::First), pages(Space::Second)],
                count: 2,
                targets: None,
            },
            _ => one(pages(space), Some(space)),
        }
    }
}

/// The range from the lowest page to the highest.
fn range_of<L: Platform>(cpu: &Cpu<'_, L>, mask: u64) -> Option<PageRange> {
    let first = u16::try_from(mask.trailing_zeros()).ok()?;
    let count = 64 - mask.leading_zeros().min(63) - u32::from(first);
    let address = cpu.platform.address(Page::Small(first));
    PageRange::new(address, u64::from(count), PageSize::Size4K).ok()
}
