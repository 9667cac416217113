//! Translations that a CPU keeps until a flush.

use core::sync::atomic::{AtomicU64, Ordering};

use rar_shootdown::rar_payload::{InvpcidScope, InvpgScope, Operation, PageChunk, Pcid};
use rar_shootdown::rar_percpu::{LocalTlb, PinnedCpu, Unsupported};

use crate::{CPUS, PAGE, PageTable, this_cpu};

/// How many translations each CPU keeps.
const ENTRIES: usize = 64;

static TLBS: [[Entry; ENTRIES]; CPUS] = [const { [const { Entry::new() }; ENTRIES] }; CPUS];

/// A translation: page number and PCID, and the frame plus one; zero means none.
struct Entry {
    page: AtomicU64,
    frame: AtomicU64,
}

impl Entry {
    const fn new() -> Self {
        Self {
            page: AtomicU64::new(0),
            frame: AtomicU64::new(0),
        }
    }
}

/// Reads a page on this CPU, through its TLB: returns the frame that the CPU finds there.
#[must_use]
pub fn read(table: &PageTable, pcid: Pcid, address: u64) -> Option<u64> {
    let this = this_cpu();
    cached(this, pcid, address).or_else(|| {
        let frame = table.walk(address)?;
        let entry = entry(this, address)?;
        entry.page.store(tag(pcid, address), Ordering::Relaxed);
        entry.frame.store(frame + 1, Ordering::Release);
        Some(frame)
    })
}

/// Returns the frame that the TLB of the CPU with this APIC id has for a page.
#[must_use]
pub fn cached(apic_id: u32, pcid: Pcid, address: u64) -> Option<u64> {
    let entry = entry(apic_id, address)?;
    let frame = entry.frame.load(Ordering::Acquire).checked_sub(1)?;
    (entry.page.load(Ordering::Relaxed) == tag(pcid, address)).then_some(frame)
}

fn entry(apic_id: u32, address: u64) -> Option<&'static Entry> {
    let index = usize::try_from(address / PAGE).unwrap_or(0) % ENTRIES;
    TLBS.get(apic_id as usize)?.get(index)
}

fn tag(pcid: Pcid, address: u64) -> u64 {
    address & !(PAGE - 1) | u64::from(pcid.get())
}

/// The instructions that flush, on the CPU that the code runs on. It stands for
/// [`NativeTlb`](rar_shootdown::rar_percpu::NativeTlb).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tlb;

impl Tlb {
    fn drop_where(is_dropped: impl Fn(u64) -> bool) {
        for entry in TLBS.get(this_cpu() as usize).into_iter().flatten() {
            if is_dropped(entry.page.load(Ordering::Relaxed)) {
                entry.frame.store(0, Ordering::Release);
            }
        }
    }

    fn drop_pages(pages: PageChunk, is_space: impl Fn(u64) -> bool) {
        let end = pages.last() + pages.size().bytes();
        Self::drop_where(|tag| {
            is_space(tag % PAGE) && (pages.start()..end).contains(&(tag & !(PAGE - 1)))
        });
    }
}

#[expect(unsafe_code, reason = "memory is freed on the word of the trait")]
// SAFETY: 1. every entry in the range, of the space, is dropped, and there is no other cache; INVPG
// does so for each PCID; 2. every entry is dropped; 3. pages are walked at each miss; 4. each entry
// is dropped by one store.
unsafe impl LocalTlb for Tlb {
    fn flush(&self, _: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        match *operation {
            Operation::Invpcid(InvpcidScope::Pages { pcid, pages }) => {
                Self::drop_pages(pages, |space| space == u64::from(pcid.get()));
            }
            Operation::Invpcid(InvpcidScope::Context { pcid }) => {
                Self::drop_where(|tag| tag % PAGE == u64::from(pcid.get()));
            }
            Operation::Invpg {
                scope: InvpgScope::Pages(pages),
                ..
            } => Self::drop_pages(pages, |_| true),
            Operation::Invpcid(InvpcidScope::AllContexts(_))
            | Operation::Invpg {
                scope: InvpgScope::All(_),
                ..
            } => Self::drop_where(|_| true),
            _ => return Err(Unsupported),
        }
        Ok(())
    }

    fn flush_everything(&self, _: &PinnedCpu<'_>) {
        Self::drop_where(|_| true);
    }
}
