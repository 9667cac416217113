//! The TLBs of all CPUs, as their instructions and their units reach them.
#![expect(
    unsafe_code,
    reason = "a test of the driver has to promise what a kernel promises of its TLB"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rar_model::{
    Contexts, Globals, Invalidation, PageSize, Pages, Pcids, Refused, Tag, Tlb, TlbModel,
    Translation,
};
use rar_payload::{InvpcidScope, InvpgScope, Operation};
use rar_percpu::{LocalTlb, PinnedCpu, Unsupported};

/// One TLB of `ENTRIES` translations per CPU.
#[derive(Debug)]
pub(crate) struct Tlbs<const ENTRIES: usize> {
    each: Vec<Mutex<TlbModel<ENTRIES>>>,
}

impl<const ENTRIES: usize> Tlbs<ENTRIES> {
    /// CPU *i* runs the space of `pcid` with page tables of its own place.
    pub(crate) fn new(cpus: usize, pcid: u16) -> Self {
        let each = (1..=cpus as u64)
            .map(|cpu| Mutex::new(TlbModel::new(cpu << 20 | u64::from(pcid), Pcids::Enabled)))
            .collect();
        Self { each }
    }

    pub(crate) fn of(&self, cpu: usize) -> &Mutex<TlbModel<ENTRIES>> {
        &self.each[cpu]
    }

    /// What a CPU caches, in a fixed order.
    pub(crate) fn contents(&self, cpu: usize) -> Vec<Translation> {
        let mut all: Vec<_> = self.of(cpu).lock().unwrap().iter().collect();
        all.sort_by_key(|held| (held.linear(), held.size(), pcid_of(held)));
        all
    }

    fn perform(&self, cpu: &PinnedCpu<'_>, invalidation: Invalidation) {
        let mut tlb = self.of(cpu.id().index()).lock().unwrap();
        tlb.invalidate(invalidation).unwrap();
    }
}

/// The PCID of a translation, `None` for a global one.
pub(crate) fn pcid_of(translation: &Translation) -> Option<u16> {
    match translation.tag() {
        Tag::Pcid(pcid) => Some(pcid),
        Tag::Global => None,
    }
}

/// Returns what the instructions of a CPU with INVPCID do for an operation, never less than it names.
///
/// INVPG has no exact counterpart while PCIDs are on, nor a comparison of CR3: more goes, as in the driver's own `NativeTlb`.
fn by_instructions(operation: &Operation) -> Option<Invalidation> {
    Some(match *operation {
        Operation::Invpcid(InvpcidScope::Pages { pcid, pages }) => Invalidation::invpcid(
            pcid.get(),
            Pages {
                start: pages.start(),
                size: size(pages.size()),
                count: pages.page_count(),
            },
        ),
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
            scope: InvpgScope::Pages(_),
            ..
        } => everything(Globals::Include),
        _ => return None,
    })
}

fn everything(globals: Globals) -> Invalidation {
    Invalidation::everything(Contexts::All, globals)
}

/// The page size of the driver's word in the model's.
pub(crate) fn size(size: rar_payload::PageSize) -> PageSize {
    match size {
        rar_payload::PageSize::Size4K => PageSize::Size4K,
        rar_payload::PageSize::Size2M => PageSize::Size2M,
        rar_payload::PageSize::Size1G => PageSize::Size1G,
    }
}

// SAFETY:
// 1. `by_instructions` names what the operation names, or more.
// 2. All contexts with globals is everything.
// 3. A walk takes the same lock as a flush, so that it is wholly before or wholly after.
// 4. The lock is held for the one invalidation only, within which nothing of the test runs.
unsafe impl<const ENTRIES: usize> LocalTlb for Tlbs<ENTRIES> {
    fn flush(&self, cpu: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        self.perform(cpu, by_instructions(operation).ok_or(Unsupported)?);
        Ok(())
    }

    fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
        self.perform(cpu, everything(Globals::Include));
    }
}

/// A CPU's TLB for its unit: locked for one invalidation at a time, and slow as long as `stall` is not zero.
pub(crate) struct UnitTlb<'t, const ENTRIES: usize> {
    pub(crate) tlb: &'t Mutex<TlbModel<ENTRIES>>,
    pub(crate) stall: &'t AtomicU32,
}

impl<const ENTRIES: usize> Tlb for UnitTlb<'_, ENTRIES> {
    fn cr3(&self) -> u64 {
        self.tlb.lock().unwrap().cr3()
    }

    fn invalidate(&mut self, invalidation: Invalidation) -> Result<(), Refused> {
        while self.stall.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        self.tlb.lock().unwrap().invalidate(invalidation)
    }
}
