//! The laboratory's own flushes, by the bare instructions.
//!
//! The driver's TLB is under test. What judges it, and what readies a CPU for a test, must not go
//! through it: a driver that flushes too much or too little would change the yardstick too.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::AtomicU64;

use rar_payload::Pcid;

/// The CPUID leaf of extended features, and the bit of INVPCID in its EBX.
const EXTENDED_FEATURES: u32 = 7;
const INVPCID: u32 = 1 << 10;
/// Of leaf 1, in ECX: XSAVE, and that CR4 has enabled it.
const XSAVE: u32 = 1 << 26;
const XSAVE_ENABLED: u32 = 1 << 27;
/// Bits of CR4.
const XSAVE_IN_USE: u64 = 1 << 18;
const GLOBAL_PAGES: u64 = 1 << 7;
const PCIDS: u64 = 1 << 17;
/// Types of INVPCID (SDM vol. 2, "INVPCID").
const ADDRESS: u64 = 0;
const ALL_WITH_GLOBALS: u64 = 2;

/// Flushes one page of the space in use, whose PCID this is: by INVPCID where PCIDs are on, else by
/// INVLPG.
pub(crate) fn flush_page(address: u64, pcid: Pcid) {
    if cr4() & PCIDS != 0 && has_invpcid() {
        invpcid(ADDRESS, pcid, address);
    } else {
        invlpg(address);
    }
}

/// Flushes every translation of every PCID, global ones included.
pub(crate) fn flush_everything() {
    if has_invpcid() {
        return invpcid(ALL_WITH_GLOBALS, Pcid::ZERO, 0);
    }
    let before = cr4();
    for value in [before ^ GLOBAL_PAGES, before] {
        // Not `nomem`: no access may move across a flush. `nostack`, `preserves_flags`: touches
        // neither.
        // SAFETY: ring 0; either change of CR4.PGE drops everything, and the second one leaves CR4
        // as it was. Handlers do not write CR4.
        unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) }
    }
}

/// What CR4 says of PCIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pcids {
    /// CR3 holds one.
    On,
    /// Every space has PCID 0.
    Off,
}

/// Turns PCIDs on or off; CR3 must hold PCID 0. Only where they were on.
pub(crate) fn set_pcids(pcids: Pcids) {
    let others = cr4() & !PCIDS;
    let value = match pcids {
        Pcids::On => others | PCIDS,
        Pcids::Off => others,
    };
    // Not `nomem`: no access may move across a flush. `nostack`, `preserves_flags`: touches
    // neither.
    // SAFETY: ring 0; PCIDs were on, so the processor has them, and CR3 holds PCID 0, as the switch
    // to them demands. Turning them off drops everything. A handler that writes CR4 writes back
    // what it has read.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) }
}

/// Writes a line of memory back and evicts it from all caches.
pub(crate) fn evict(word: &AtomicU64) {
    let address = core::ptr::from_ref(word);
    // Not `nomem`: earlier stores to the line come first. `nostack`, `preserves_flags`: touches
    // neither.
    // SAFETY: every 64-bit processor has CLFLUSH, which changes no memory.
    unsafe { asm!("clflush [{}]", in(reg) address, options(nostack, preserves_flags)) }
}

/// INVLPG of one page.
pub(crate) fn invlpg(address: u64) {
    // Not `nomem`: no access of the page may move across. `nostack`, `preserves_flags`: touches
    // neither.
    // SAFETY: ring 0; dropping a translation changes no memory.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) }
}

/// Only where CPUID reports the instruction.
fn invpcid(kind: u64, pcid: Pcid, address: u64) {
    let descriptor = [u64::from(pcid.get()), address];
    // Not `nomem`: the instruction reads the descriptor, and no access may move across.
    // `preserves_flags`: it touches none.
    // SAFETY: ring 0, and the callers have asked CPUID. The descriptor's reserved bits are zero;
    // the PCID is below 4,096 by its type, and zero where PCIDs are off; the addresses of the test
    // region are canonical.
    unsafe {
        asm!(
            "invpcid {}, [{}]",
            in(reg) kind,
            in(reg) &raw const descriptor,
            options(nostack, preserves_flags),
        );
    }
}

/// Executes CPUID, which the shim has every guest leave for.
pub(crate) fn call_the_shim() {
    // Not folded away, unlike the intrinsic whose result is not used.
    // SAFETY: every 64-bit CPU has the instruction and its leaf 0. RBX, which the compiler keeps
    // for itself, is put back.
    unsafe {
        asm!(
            "mov {kept}, rbx",
            "cpuid",
            "mov rbx, {kept}",
            kept = out(reg) _,
            inout("eax") 0 => _,
            inout("ecx") 0 => _,
            out("edx") _,
            options(nostack, preserves_flags),
        );
    }
}

/// Returns whether CPUID shows XSAVE as enabled while CR4 has it so, and not else; also where there
/// is no XSAVE.
#[must_use]
pub fn cpuid_follows_cr4() -> bool {
    if __cpuid(1).ecx & XSAVE == 0 {
        return true;
    }
    let before = cr4();
    [before | XSAVE_IN_USE, before & !XSAVE_IN_USE, before]
        .into_iter()
        .all(|value| {
            // `nomem`, `nostack`, `preserves_flags`: touches none of them.
            // SAFETY: ring 0; CPUID shows XSAVE, which nothing here uses, and the last value is
            // that of before. Handlers do not write CR4.
            unsafe {
                asm!("mov cr4, {}", in(reg) value, options(nomem, nostack, preserves_flags));
            }
            let shown = __cpuid(1).ecx & XSAVE_ENABLED != 0;
            shown == (value & XSAVE_IN_USE != 0)
        })
}

fn has_invpcid() -> bool {
    __cpuid(0).eax >= EXTENDED_FEATURES && __cpuid_count(EXTENDED_FEATURES, 0).ebx & INVPCID != 0
}

fn cr4() -> u64 {
    let value;
    // `nomem`: reads a register. `nostack`, `preserves_flags`: touches neither.
    // SAFETY: ring 0; reading CR4 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}
