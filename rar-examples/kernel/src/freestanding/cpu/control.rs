//! Control registers: what every CPU of the machine is set to.

use core::arch::x86_64::{__cpuid, __cpuid_count};

use x86::controlregs::{Cr0, Cr4};

use super::msr::{read_msr, write_msr};

const EFER_LONG_MODE_ENABLE: u64 = 1 << 8;
const EFER_NO_EXECUTE: u64 = 1 << 11;

/// What the boot CPU found by CPUID and every CPU sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) no_execute: bool,
    pub(crate) global_pages: bool,
    pub(crate) pcid: bool,
    /// Without it a machine check ends the machine and says nothing.
    machine_check: bool,
    pub(crate) smep: bool,
    pub(crate) smap: bool,
    pub(crate) x2apic: bool,
}

const fn bit(word: u32, number: u32) -> bool {
    word & 1 << number != 0
}

impl Control {
    /// Returns whether the CPU has PCIDs.
    pub(crate) fn offers_pcid() -> bool {
        bit(__cpuid(1).ecx, 17)
    }

    /// Asks CPUID (SDM vol. 2, "CPUID"). PCIDs are used only if they are `wanted`.
    pub(crate) fn detect(wanted: bool) -> Self {
        let basic = __cpuid(1);
        let extended = if __cpuid(0).eax >= 7 {
            __cpuid_count(7, 0).ebx
        } else {
            0
        };
        Self {
            no_execute: __cpuid(0x8000_0000).eax >= 0x8000_0001
                && bit(__cpuid(0x8000_0001).edx, 20),
            global_pages: bit(basic.edx, 13),
            pcid: wanted && bit(basic.ecx, 17),
            machine_check: bit(basic.edx, 7),
            smep: bit(extended, 7),
            smap: bit(extended, 20),
            x2apic: bit(basic.ecx, 21),
        }
    }

    /// The EFER to start with.
    pub(crate) const fn efer(self) -> u64 {
        EFER_LONG_MODE_ENABLE | if self.no_execute { EFER_NO_EXECUTE } else { 0 }
    }

    /// The CR4 to enter paging with: what code needs from its first instruction on.
    pub(crate) fn first_cr4() -> Cr4 {
        Cr4::CR4_ENABLE_PAE | Cr4::CR4_ENABLE_SSE | Cr4::CR4_UNMASKED_SSE
    }

    /// The CR0 of every CPU: paging with write protection, no emulation, caches on.
    pub(crate) fn cr0() -> Cr0 {
        Cr0::CR0_ENABLE_PAGING
            | Cr0::CR0_WRITE_PROTECT
            | Cr0::CR0_NUMERIC_ERROR
            | Cr0::CR0_EXTENSION_TYPE
            | Cr0::CR0_MONITOR_COPROCESSOR
            | Cr0::CR0_PROTECTED_MODE
    }

    /// Sets EFER's no-execute bit, before page tables that use it are loaded.
    pub(crate) fn set_efer(self) {
        // SAFETY: EFER exists on every 64-bit CPU.
        let before = unsafe { read_msr(x86::msr::IA32_EFER) };
        // SAFETY: adds only bits that CPUID offers; no table in use has a no-execute bit yet or
        // they have it already.
        unsafe { write_msr(x86::msr::IA32_EFER, before | self.efer()) };
    }

    /// Sets the final CR0 and CR4. CR3 must hold PCID 0, as the switch to PCIDs demands.
    pub(crate) fn set(self) {
        let mut cr4 = Self::first_cr4();
        cr4.set(Cr4::CR4_ENABLE_GLOBAL_PAGES, self.global_pages);
        cr4.set(Cr4::CR4_ENABLE_PCID, self.pcid);
        cr4.set(Cr4::CR4_ENABLE_MACHINE_CHECK, self.machine_check);
        cr4.set(Cr4::CR4_ENABLE_SMEP, self.smep);
        cr4.set(Cr4::CR4_ENABLE_SMAP, self.smap);
        // SAFETY: the bits that the kernel's own code runs with already.
        unsafe { x86::controlregs::cr0_write(Self::cr0()) };
        // SAFETY: each optional bit is offered by CPUID; there are no user pages that SMEP or SMAP
        // could concern.
        unsafe { x86::controlregs::cr4_write(cr4) };
    }
}
