//! MWAIT, as tests use it.

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::AtomicU64;

use x86::cpuid::CpuId;

const MWAIT: u32 = 5;

pub(crate) fn has_mwait() -> bool {
    CpuId::new()
        .get_feature_info()
        .is_some_and(|features| features.has_monitor_mwait())
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
