//! The CPU itself: RDMSR, WRMSR and CPUID.

use x86::cpuid::native_cpuid::cpuid_count;
use x86::msr;

use crate::{Cpuid, CpuidResult, MsrAccess, MsrFault};

/// The executing CPU, at privilege level 0.
///
/// An access that raises #GP(0) goes to the kernel's exception handler; [`MsrFault`] is never
/// returned. A kernel that can recover from the exception implements [`MsrAccess`] itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NativeCpu(());

impl NativeCpu {
    /// Returns the executing CPU, whichever that is at each use.
    ///
    /// # Safety
    ///
    /// 1. All code that uses the value runs at privilege level 0.
    /// 2. A [`RarSupport`](crate::RarSupport) that is used with it was detected through a
    ///    `NativeCpu` of this machine (one detected on a fake proves nothing here), and on each CPU
    ///    [`check_cpu`](crate::RarSupport::check_cpu) passed first.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY: 1. and 2. the instructions act on the executing CPU; 3. an exception is delivered, so
// neither function returns after one; 4. the assembly of the `x86` crate does not claim `nomem`, so
// the compiler keeps memory accesses in place;
// 5. `new` is unsafe and demands both.
unsafe impl MsrAccess for NativeCpu {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        // SAFETY: privilege level 0 was promised to `new`; the rest is the caller's duty.
        Ok(unsafe { msr::rdmsr(msr) })
    }

    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        // SAFETY: privilege level 0 was promised to `new`; the rest is the caller's duty.
        unsafe { write_msr(msr, value) };
        Ok(())
    }
}

impl Cpuid for NativeCpu {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let result = cpuid_count(leaf, subleaf);
        CpuidResult {
            eax: result.eax,
            ebx: result.ebx,
            ecx: result.ecx,
            edx: result.edx,
        }
    }
}

/// The one WRMSR of this crate to registers of other kinds than the x2APIC's. It has its own symbol
/// so that a disassembly check can find it.
///
/// # Safety
///
/// As [`MsrAccess::write`].
// SAFETY: (export_name) nothing else in the crate has this name; two copies of the crate in one
// program do not link.
#[unsafe(export_name = "rar_regs_write_msr")]
#[inline(never)]
unsafe fn write_msr(msr: u32, value: u64) {
    // SAFETY: the caller keeps the duties of `MsrAccess::write`.
    unsafe { msr::wrmsr(msr, value) }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn cpuid_answers_as_the_processor_does() {
        // SAFETY: 1. CPUID is all that is used here and needs no privilege; 2. no `RarSupport` is
        // used.
        let cpu = unsafe { NativeCpu::new() };
        let CpuidResult { eax, ebx, ecx, edx } = cpu.cpuid(0, 0);
        let vendor: Vec<u8> = [ebx, edx, ecx]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let expected = x86::cpuid::CpuId::new().get_vendor_info().unwrap();
        assert_eq!(vendor, expected.as_str().as_bytes());
        assert!(eax >= 1);
    }
}
