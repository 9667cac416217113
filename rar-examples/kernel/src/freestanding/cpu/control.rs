//! Control registers: what every CPU of the machine is set to.

use x86::controlregs::{Cr0, Cr4};
use x86::cpuid::{CpuId, FeatureInfo};

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

impl Control {
    /// Returns whether the CPU has PCIDs.
    pub(crate) fn offers_pcid() -> bool {
        CpuId::new()
            .get_feature_info()
            .is_some_and(|features| features.has_pcid())
    }

    /// Asks CPUID (SDM vol. 2, "CPUID"). PCIDs are used only if they are `wanted`.
    pub(crate) fn detect(wanted: bool) -> Self {
        let cpuid = CpuId::new();
        let basic = cpuid.get_feature_info();
        let structured = cpuid.get_extended_feature_info();
        let extended = cpuid.get_extended_processor_and_feature_identifiers();
        let has = |ask: fn(&FeatureInfo) -> bool| basic.as_ref().is_some_and(ask);
        Self {
            no_execute: extended.is_some_and(|features| features.has_execute_disable()),
            global_pages: has(FeatureInfo::has_pge),
            pcid: wanted && has(FeatureInfo::has_pcid),
            machine_check: has(FeatureInfo::has_mce),
            smep: structured
                .as_ref()
                .is_some_and(|features| features.has_smep()),
            smap: structured.is_some_and(|features| features.has_smap()),
            x2apic: has(FeatureInfo::has_x2apic),
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
