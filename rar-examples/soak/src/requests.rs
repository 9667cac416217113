//! The requests of one flush.

use rar_payload::{Globals, PageRange, PageSize, Request, TableOwner};
use rar_suite::{Page, Platform, Space};
use rar_vocabulary::SoakOperation;

use crate::cpu::Cpu;
use crate::plan::Plan;

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

    fn one(request: Request, targets: Option<Space>) -> Self {
        Self {
            requests: [request; 2],
            count: 1,
            targets,
        }
    }
}

impl<L: Platform> Cpu<'_, L> {
    /// Returns what is to be flushed.
    pub(crate) fn requests(&self, plan: &Plan) -> Requests {
        let space = plan.space;
        let all_of_it = Request::AddressSpace {
            pcid: self.platform.pcid(space),
        };
        // What has left the set may still cache the PCID.
        let own = Some(space).filter(|_| !plan.loses_pcid);
        if let Some(request) = self.request_for_parts(plan) {
            return Requests::one(request, own);
        }
        match plan.operation {
            // The table also maps the global pages.
            _ if plan.frees_table => Requests::one(Request::TablesFreed(TableOwner::Kernel), None),
            SoakOperation::Exit | SoakOperation::Fork | SoakOperation::Recycle => {
                Requests::one(all_of_it, own)
            }
            SoakOperation::Kernel => {
                let everything = Request::Everything {
                    globals: Globals::Include,
                };
                let range = range_of(self, plan.global);
                let global = range.map(|range| Request::GlobalPages { range });
                Requests::one(global.unwrap_or(everything), None)
            }
            SoakOperation::Several => Requests {
                requests: plan.parts.map(|part| pages(self, part)),
                count: 2,
                targets: None,
            },
            _ => {
                let [part, _] = plan.parts;
                Requests::one(pages(self, part), own)
            }
        }
    }
}

fn pages<L: Platform>(cpu: &Cpu<'_, L>, (space, mask): (Space, u64)) -> Request {
    let pcid = cpu.platform.pcid(space);
    match range_of(cpu, mask) {
        Some(range) => Request::Pages { pcid, range },
        None => Request::AddressSpace { pcid },
    }
}

/// The range from the lowest page to the highest.
fn range_of<L: Platform>(cpu: &Cpu<'_, L>, mask: u64) -> Option<PageRange> {
    if mask == 0 {
        return None;
    }
    let first = u16::try_from(mask.trailing_zeros()).ok()?;
    let count = 64 - mask.leading_zeros() - u32::from(first);
    let address = cpu.platform.address(Page::Small(first));
    PageRange::new(address, u64::from(count), PageSize::Size4K).ok()
}
