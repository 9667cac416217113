//! The TLB of this CPU, by its instructions.
#![expect(unsafe_code, reason = "flushing a TLB takes privileged instructions")]

use core::arch::asm;

use rar_payload::Operation;
use x86::controlregs::{cr3, cr3_write};
use x86::cpuid::CpuId as Features;

use crate::cpu_id::PinnedCpu;
use crate::flush_plan::{self, CR4_PGE, Instructions, InvpcidType};
use crate::local_tlb::{LocalTlb, Unsupported};

/// [`LocalTlb`] by `INVLPG`, `INVPCID` where the CPU has it, and writes of CR3 and CR4 where it has
/// not.
///
/// Where no instruction is exact, more is flushed: without PCIDs (`CR4.PCIDE` = 0) whatever names a
/// PCID acts on the one space there is; with PCIDs but without `INVPCID`, another PCID than the
/// current one costs a full flush. On parts where `INVLPG` may spare global entries while PCIDs are
/// on (Alder Lake and Raptor Lake before their microcode fix), no global entry is left to `INVLPG`;
/// on others neither, unless [`with_invlpg_dropping_globals`](Self::with_invlpg_dropping_globals)
/// says so.
#[derive(Clone, Copy, Debug)]
pub struct NativeTlb {
    invpcid: bool,
    invlpg_drops_globals: bool,
}

impl NativeTlb {
    /// Returns the TLB of whatever CPU the code runs on.
    ///
    /// # Safety
    ///
    /// 1. The code runs in ring 0, here and in every later call.
    /// 2. All CPUs that use the value offer the same: `INVPCID` on all or on none.
    /// 3. CR3 and CR4 may be written back as they were read, also between two instructions of an
    ///    interrupted writer.
    #[must_use]
    pub unsafe fn new() -> Self {
        let features = Features::new().get_extended_feature_info();
        Self {
            invpcid: features.is_some_and(|features| features.has_invpcid()),
            invlpg_drops_globals: false,
        }
    }

    /// Returns the TLB of CPUs whose `INVLPG` has no such fault: pages that are mapped global go by
    /// address.
    ///
    /// # Safety
    ///
    /// 1. On all CPUs that use the value `INVLPG` drops global translations while PCIDs are on:
    ///    none is an Alder Lake or Raptor Lake part without the fix, which the vendor's
    ///    specification update names.
    #[must_use]
    pub const unsafe fn with_invlpg_dropping_globals(self) -> Self {
        Self {
            invlpg_drops_globals: true,
            ..self
        }
    }
}

// SAFETY:
// 1. `flush_plan`, which a test proves for every kind of CPU, executes the instruction for what is
//    named, or one that drops more: INVPCID in the type of the same meaning; INVLPG in the current
//    space, which drops the address's entries of the current PCID and global ones, and the
//    paging-structure caches of that PCID (SDM vol. 3, "Operations that Invalidate TLBs and
//    Paging-Structure Caches", documented); a CR3 write with bit 63 clear for the current PCID or,
//    without PCIDs, all but globals; and the full flush. INVLPG with PCIDs on is used only for
//    non-global entries of the current PCID, or where `with_invlpg_dropping_globals` was promised,
//    or followed by the full flush.
// 2. INVPCID type 2, or a change of CR4.PGE, drops every entry of every PCID with globals.
// 3. All of these are serializing, so that later walks read the page tables as stored before.
// 4. No state is kept between instructions but what is read and written back (duty 3 of `new`).
unsafe impl LocalTlb for NativeTlb {
    fn flush(&self, _: &PinnedCpu<'_>, operation: &Operation) -> Result<(), Unsupported> {
        flush_plan::flush(self, operation)
    }

    fn flush_everything(&self, _: &PinnedCpu<'_>) {
        flush_plan::flush_everything(self);
    }
}

/// Ring 0 in all of them: duty 1 of `NativeTlb::new`, which alone makes the value.
impl Instructions for NativeTlb {
    #[inline]
    fn has_invpcid(&self) -> bool {
        self.invpcid
    }

    #[inline]
    fn invlpg_drops_globals(&self) -> bool {
        self.invlpg_drops_globals
    }

    #[inline]
    fn cr3(&self) -> u64 {
        // SAFETY: ring 0; reading CR3 has no effect.
        unsafe { cr3() }
    }

    /// The whole register: the `x86` crate's type drops the bits that it does not know.
    #[inline]
    fn cr4(&self) -> u64 {
        let value;
        // `nomem`: reads a register. `nostack`, `preserves_flags`: touches neither.
        // SAFETY: ring 0; reading CR4 has no effect.
        unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) }
        value
    }

    #[inline]
    fn reload_cr3(&self) {
        let value = self.cr3();
        // SAFETY: ring 0; the same tables and PCID as before, and bit 63, which would keep the
        // PCID's entries, reads as zero.
        unsafe { cr3_write(value) }
    }

    #[inline]
    fn set_global_pages(&self, are_on: bool) {
        let value = self.cr4() & !CR4_PGE | if are_on { CR4_PGE } else { 0 };
        // Not `nomem`: no access may move across a flush. `nostack`, `preserves_flags`: touches
        // neither. SAFETY: ring 0; CR4 is as it was, except for the caching of global entries.
        unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) }
    }

    #[inline]
    fn invlpg(&self, address: u64) {
        // Not `nomem`: no access of the page may move across. `nostack`, `preserves_flags`: INVLPG
        // touches neither. SAFETY: ring 0; dropping a translation changes no memory.
        unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) }
    }

    #[inline]
    fn invpcid(&self, kind: InvpcidType, pcid: u64, address: u64) {
        let descriptor = [pcid, address];
        // Not `nomem`: the instruction reads the descriptor, and no access may move across.
        // `preserves_flags`: it touches none. SAFETY: ring 0 and INVPCID exists (`has_invpcid`);
        // the PCID is below 4,096 by its type, or zero where PCIDs are off; the address is
        // canonical where the type uses one.
        unsafe {
            asm!(
                "invpcid {}, [{}]",
                in(reg) kind as u64,
                in(reg) &raw const descriptor,
                options(nostack, preserves_flags),
            );
        }
    }
}
