//! A CPU's flushes of its own TLB by ordinary instructions.
#![expect(
    unsafe_code,
    reason = "the simulated kernel promises of its TLB what a kernel promises"
)]

use rar_model::{Contexts, Globals, Invalidation, Leftovers, PageSize, Pages};
use rar_payload::{InvpcidScope, InvpgScope, Operation, PageChunk};
use rar_percpu::{LocalTlb, PinnedCpu, Unsupported};

use super::{Invlpg, Machine};
use crate::schedule::step;

/// Returns the effect of a CPU's instructions for an operation: never less than the operation
/// names.
///
/// No instruction compares CR3, so more is flushed, as in the driver's own `NativeTlb`.
fn by_instructions(operation: &Operation, invlpg: Invlpg) -> Option<Invalidation> {
    Some(match *operation {
        Operation::Invpcid(InvpcidScope::Pages { pcid, pages }) => {
            Invalidation::invpcid(pcid.get(), in_words_of_the_model(pages))
        }
        Operation::Invpcid(InvpcidScope::Context { pcid }) => {
            Invalidation::everything(Contexts::Pcid(pcid.get()), Globals::Exclude)
        }
        Operation::Invpcid(InvpcidScope::AllContexts(globals))
        | Operation::Invpg {
            scope: InvpgScope::All(globals),
            ..
        } => everything(match globals {
            rar_payload::Globals::Include => Globals::Include,
            rar_payload::Globals::Exclude => Globals::Exclude,
        }),
        Operation::Invpg {
            scope: InvpgScope::Pages(pages),
            ..
        } => match invlpg {
            Invlpg::DropsGlobals => Invalidation::invlpg(in_words_of_the_model(pages)),
            Invlpg::MaySpareGlobals => everything(Globals::Include),
        },
        _ => return None,
    })
}

fn in_words_of_the_model(pages: PageChunk) -> Pages {
    Pages {
        start: pages.start(),
        size: size(pages.size()),
        count: pages.page_count(),
    }
}

fn everything(globals: Globals) -> Invalidation {
    Invalidation::everything(Contexts::All, globals)
}

/// Converts the driver's page size to the model's.
fn size(size: rar_payload::PageSize) -> PageSize {
    match size {
        rar_payload::PageSize::Size4K => PageSize::Size4K,
        rar_payload::PageSize::Size2M => PageSize::Size2M,
        rar_payload::PageSize::Size1G => PageSize::Size1G,
    }
}

impl<const TLB: usize> Machine<'_, TLB> {
    /// INVLPG of one small page.
    pub fn invlpg(&self, cpu: &PinnedCpu<'_>, address: u64) {
        let page = Pages::one(address, PageSize::Size4K);
        let _never_refused = self.perform(cpu, Invalidation::invlpg(page));
    }

    /// Drops every translation, by an instruction of the test, not of the driver.
    pub fn empty_tlb(&self, cpu: &PinnedCpu<'_>) {
        let _never_refused = self.perform(cpu, everything(Globals::Include));
    }

    /// An invalidating instruction; all of them serialize.
    fn perform(&self, cpu: &PinnedCpu<'_>, invalidation: Invalidation) -> Result<(), Unsupported> {
        step();
        let cpu = cpu.id().get();
        self.drain_stores(cpu);
        self.watch.flushes(cpu);
        let done = self.invalidate(cpu, invalidation, Leftovers::NONE);
        done.map_err(|_| Unsupported)
    }
}

// SAFETY:
// 1. `by_instructions` names what the operation names, or more.
// 2. All contexts with globals is everything; the TLB never refuses that.
// 3. A walk takes the same lock as a flush for each of its reads, and a flush ends the walks that
//    are between two of them.
// 4. The lock is held for the one invalidation only, within which nothing else of the CPU runs.
unsafe impl<const TLB: usize> LocalTlb for Machine<'_, TLB> {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        self.witness.flushes(cpu.id(), operation);
        let invalidation = by_instructions(operation, self.config.invlpg);
        self.perform(cpu, invalidation.ok_or(Unsupported)?)
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.witness.flushes_everything(cpu.id());
        self.empty_tlb(cpu);
    }
}
