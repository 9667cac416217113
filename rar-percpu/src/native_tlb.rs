//! The TLB of this CPU, by its instructions.
#![expect(unsafe_code, reason = "flushing a TLB takes privileged instructions")]

use core::arch::asm;

use rar_payload::{Globals, InvpcidScope, InvpgScope, Operation, PageChunk};
use x86::controlregs::{Cr4, cr3, cr3_write};
use x86::cpuid::CpuId as Features;

use crate::cpu_id::PinnedCpu;
use crate::local_tlb::{LocalTlb, Unsupported};

const CR3_PCID: u64 = 0xFFF;

/// `INVPCID` types (SDM vol. 2, "INVPCID", documented).
const ADDRESS: u64 = 0;
const CONTEXT: u64 = 1;
const ALL_WITH_GLOBALS: u64 = 2;
const ALL_WITHOUT_GLOBALS: u64 = 3;

/// [`LocalTlb`] by `INVLPG`, `INVPCID` where the CPU has it, and writes of CR3 and CR4 where it has not.
///
/// Where the instructions cannot name exactly what is to go, more goes: without PCIDs (`CR4.PCIDE` = 0) whatever names
/// a PCID acts on the one space there is; with PCIDs but without `INVPCID`, another PCID than the current one costs a full
/// flush. On parts where `INVLPG` may spare global entries while PCIDs are on (Alder Lake and Raptor Lake before their
/// microcode fix), no global entry is left to `INVLPG`.
#[derive(Clone, Copy, Debug)]
pub struct NativeTlb {
    invpcid: bool,
}

impl NativeTlb {
    /// Returns the TLB of whatever CPU the code runs on.
    ///
    /// # Safety
    ///
    /// 1. The code runs in ring 0, here and in every later call.
    /// 2. All CPUs that use the value offer the same: `INVPCID` on all or on none.
    /// 3. CR3 and CR4 may be written back as they were read, also between two instructions of an interrupted writer.
    #[must_use]
    pub unsafe fn new() -> Self {
        let features = Features::new().get_extended_feature_info();
        Self {
            invpcid: features.is_some_and(|features| features.has_invpcid()),
        }
    }

    fn pages(self, pages: PageChunk, pcid: u64) {
        let pcids = pcids_on();
        if pcids && !canonical(pages) {
            // INVPCID would fault. A translation there cannot exist without 57-bit addresses, but a flush never does less.
            self.everything();
        } else if pcids && self.invpcid {
            addresses(pages).for_each(|address| invpcid(ADDRESS, pcid, address));
        } else if pcids && pcid != current_pcid() {
            self.everything();
        } else {
            addresses(pages).for_each(invlpg);
        }
    }

    fn context(self, pcid: u64) {
        match pcids_on() {
            true if self.invpcid => invpcid(CONTEXT, pcid, 0),
            true if pcid != current_pcid() => self.everything(),
            _ => reload_cr3(),
        }
    }

    fn all(self, globals: Globals) {
        match globals {
            Globals::Exclude if !pcids_on() => reload_cr3(),
            Globals::Exclude if self.invpcid => invpcid(ALL_WITHOUT_GLOBALS, 0, 0),
            _ => self.everything(),
        }
    }

    fn everything(self) {
        if self.invpcid {
            invpcid(ALL_WITH_GLOBALS, 0, 0)
        } else {
            toggle_global_pages()
        }
    }
}

// SAFETY:
// 1. Each arm executes the instruction for what is named, or one that drops more: INVPCID in the type of the same meaning; INVLPG in
//    the current space, which drops the address's entries of the current PCID and global ones, and the paging-structure caches of that PCID
//    (SDM vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches", documented); a CR3 write with bit 63 clear for the
//    current PCID or, without PCIDs, all but globals; and the full flush. INVLPG with PCIDs on is used only for non-global entries
//    of the current PCID, or followed by the full flush.
// 2. INVPCID type 2, or a change of CR4.PGE, drops every entry of every PCID with globals.
// 3. All of these are serializing, so that later walks read the page tables as stored before.
// 4. No state is kept between instructions but what is read and written back (duty 3 of `new`).
unsafe impl LocalTlb for NativeTlb {
    fn flush(&self, _: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        match *operation {
            Operation::Invpcid(InvpcidScope::Pages { pcid, pages }) => {
                self.pages(pages, u64::from(pcid.get()))
            }
            Operation::Invpcid(InvpcidScope::Context { pcid }) => {
                self.context(u64::from(pcid.get()))
            }
            Operation::Invpcid(InvpcidScope::AllContexts(globals)) => self.all(globals),
            // The comparison of CR3 is skipped: a flush too many.
            Operation::Invpg {
                scope: InvpgScope::Pages(pages),
                ..
            } if !pcids_on() => {
                addresses(pages).for_each(invlpg);
            }
            Operation::Invpg {
                scope: InvpgScope::Pages(_),
                ..
            } => self.everything(),
            Operation::Invpg {
                scope: InvpgScope::All(globals),
                ..
            } => self.all(globals),
            _ => return Err(Unsupported),
        }
        Ok(())
    }

    fn flush_everything(&self, _: &PinnedCpu<'_>) {
        self.everything();
    }
}

fn addresses(pages: PageChunk) -> impl Iterator<Item = u64> {
    (0..u64::from(pages.page_count())).map(move |page| pages.start() + page * pages.size().bytes())
}

/// Whether the addresses are canonical for the paging mode that is on.
fn canonical(pages: PageChunk) -> bool {
    let five_levels = is_on(Cr4::CR4_ENABLE_LA57);
    let sign_bit = if five_levels { 56 } else { 47 };
    [pages.start(), pages.last()]
        .iter()
        .all(|address| matches!((*address as i64) >> sign_bit, 0 | -1))
}

fn pcids_on() -> bool {
    is_on(Cr4::CR4_ENABLE_PCID)
}

fn current_pcid() -> u64 {
    // SAFETY: ring 0 (duty 1 of `NativeTlb::new`); reading CR3 has no effect.
    unsafe { cr3() & CR3_PCID }
}

fn reload_cr3() {
    // SAFETY: ring 0; reading CR3 has no effect.
    let value = unsafe { cr3() };
    // SAFETY: ring 0; the same tables and PCID as before, and bit 63, which would keep the PCID's entries, reads as zero.
    unsafe { cr3_write(value) }
}

fn is_on(flag: Cr4) -> bool {
    read_cr4() & flag.bits() as u64 != 0
}

/// Changes `CR4.PGE` and changes it back: either change drops every entry of every PCID with globals.
fn toggle_global_pages() {
    let value = read_cr4();
    // SAFETY: ring 0; only the caching of global entries changes for a moment.
    unsafe { write_cr4(value ^ Cr4::CR4_ENABLE_GLOBAL_PAGES.bits() as u64) }
    // SAFETY: ring 0; CR4 is as it was.
    unsafe { write_cr4(value) }
}

/// The whole register: the `x86` crate's type drops the bits that it does not know.
fn read_cr4() -> u64 {
    let value;
    // `nomem`: reads a register. `nostack`, `preserves_flags`: touches neither.
    // SAFETY: ring 0; reading CR4 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// # Safety
///
/// 1. Ring 0.
/// 2. The value differs from what was read in `CR4.PGE` at most.
unsafe fn write_cr4(value: u64) {
    // Not `nomem`: no access may move across a flush. `nostack`, `preserves_flags`: touches neither.
    // SAFETY: 1. and 2. of the caller.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) }
}

fn invlpg(address: u64) {
    // Not `nomem`: no access of the page may move across. `nostack`, `preserves_flags`: INVLPG touches neither.
    // SAFETY: ring 0; dropping a translation changes no memory.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) }
}

fn invpcid(kind: u64, pcid: u64, address: u64) {
    let descriptor = [pcid, address];
    // Not `nomem`: the instruction reads the descriptor, and no access may move across. `preserves_flags`: it touches none.
    // SAFETY: ring 0 and INVPCID exists (`self.invpcid`); the PCID is below 4,096 by its type, or zero where PCIDs are off; the
    // address is canonical where the type uses one.
    unsafe {
        asm!("invpcid {}, [{}]", in(reg) kind, in(reg) &raw const descriptor, options(nostack, preserves_flags));
    }
}
