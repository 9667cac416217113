//! MWAIT, as tests use it.

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::AtomicU64;

const FEATURES: u32 = 1;
const MONITOR: u32 = 1 << 3;
const MWAIT: u32 = 5;

pub(crate) fn has_mwait() -> bool {
    __cpuid(FEATURES).ecx & MONITOR != 0
}

/// The sub-states of each C-state, four bits each.
pub(crate) fn mwait_states() -> u32 {
    match __cpuid(0).eax {
        highest if highest >= MWAIT => __cpuid(MWAIT).edx,
        _ => 0,
    }
}

/// Enables interrupts and waits until one comes, or for a reason of the CPU's own. Only where there
/// is MWAIT.
pub(crate) fn mwait(hint: u32) {
    // No code writes to it.
    let watched = AtomicU64::new(0);
    // SAFETY: ring 0, and CPUID reports the instructions. MONITOR takes an address, no extensions
    // and no hints; no interrupt comes between STI and MWAIT. Handlers preserve every register.
    unsafe {
        asm!(
            "monitor",
            "mov eax, {hint:e}",
            "sti",
            "mwait",
            hint = in(reg) hint,
            inout("rax") watched.as_ptr() => _,
            in("ecx") 0,
            in("edx") 0,
            options(nostack),
        );
    }
}
