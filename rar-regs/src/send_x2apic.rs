//! WRMSR to the interrupt command register of an x2APIC, with the fences it needs.

use core::arch::asm;

use crate::X2apicIcr;

/// Sends an interrupt through the x2APIC of the executing CPU, after everything stored before the
/// call is visible.
///
/// WRMSR to an x2APIC register waits for no earlier store (SDM vol. 3, MSR Access in x2APIC Mode;
/// documented), so a target could look before the request is there. MFENCE, LFENCE and WRMSR stand
/// in one assembly block, so nothing can come between them. The symbol is `rar_regs_send_x2apic`.
///
/// # Safety
///
/// 1. The CPU runs at privilege level 0.
/// 2. Its local APIC is in x2APIC mode.
/// 3. The target can take the message: an INIT or start-up message resets what runs there, an
///    interrupt or NMI runs its handler, a remote action request makes a unit that is enabled
///    follow the base registers of its CPU.
// SAFETY: (export_name) nothing else in the crate has this name; two copies of the crate in one
// program do not link.
#[unsafe(export_name = "rar_regs_send_x2apic")]
#[inline(never)]
pub unsafe fn send_x2apic(icr: X2apicIcr) {
    let [a, b, c, d, e, f, g, h] = icr.bits().to_le_bytes();
    let low = u32::from_le_bytes([a, b, c, d]);
    let high = u32::from_le_bytes([e, f, g, h]);
    // SAFETY: 1. and 2. the caller's duties: the instruction and the register exist; 3. is the
    // caller's as well.
    unsafe {
        asm!(
            "mfence", // every earlier store is visible before any later load or store,
            "lfence", // and no later instruction, WRMSR included, starts before that
            "wrmsr",
            in("ecx") X2apicIcr::MSR, // WRMSR takes the address in ECX,
            in("eax") low,            // bits 31:0 in EAX
            in("edx") high,           // and bits 63:32 in EDX; it changes none of them
            // nostack: nothing is pushed. preserves_flags: none of the three touches RFLAGS.
            // Not nomem and not readonly: the message makes other CPUs read what was stored before,
            // so the compiler must have stored it.
            options(nostack, preserves_flags),
        );
    }
}

/// Sends another interrupt without fences, after [`send_x2apic`] in the same send. The symbol is
/// `rar_regs_send_x2apic_next`.
///
/// # Safety
///
/// 1. to 3. As [`send_x2apic`].
/// 4. [`send_x2apic`] was called before on this CPU, and what the target is to see was stored
///    before that call.
// SAFETY: (export_name) nothing else in the crate has this name; two copies of the crate in one
// program do not link.
#[unsafe(export_name = "rar_regs_send_x2apic_next")]
#[inline(never)]
pub(crate) unsafe fn send_x2apic_next(icr: X2apicIcr) {
    let [a, b, c, d, e, f, g, h] = icr.bits().to_le_bytes();
    let low = u32::from_le_bytes([a, b, c, d]);
    let high = u32::from_le_bytes([e, f, g, h]);
    // SAFETY: 1. and 2. the caller's duties: the instruction and the register exist; 3. is the
    // caller's as well; 4. the fences of that call made the stores visible before it sent anything,
    // and this write comes later.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") X2apicIcr::MSR,
            in("eax") low,
            in("edx") high,
            // As in `send_x2apic`.
            options(nostack, preserves_flags),
        );
    }
}
