//! The CPU itself: RDMSR, WRMSR, CPUID, and the two ways to send an interrupt.

use core::arch::asm;
use core::hint::spin_loop;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence};

use x86::bits64::rflags::{self, RFlags};
use x86::cpuid::native_cpuid::cpuid_count;
use x86::{irq, msr};

use crate::{Cpuid, CpuidResult, IcrBusy, MsrAccess, MsrFault, X2apicIcr, XapicIcr};

/// The executing CPU, at privilege level 0.
///
/// An access that raises #GP(0) goes to the kernel's exception handler; [`MsrFault`] is never returned. A kernel that
/// can recover from the exception implements [`MsrAccess`] itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NativeCpu(());

impl NativeCpu {
    /// Returns the executing CPU, whichever that is at each use.
    ///
    /// # Safety
    ///
    /// 1. All code that uses the value runs at privilege level 0.
    /// 2. A [`RarSupport`](crate::RarSupport) that is used with it was detected through a `NativeCpu` of this machine
    ///    (one detected on a fake proves nothing here), and on each CPU
    ///    [`check_cpu`](crate::RarSupport::check_cpu) passed first.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY: 1. and 2. the instructions act on the executing CPU; 3. an exception is delivered, so neither function returns
// after one; 4. the assembly of the `x86` crate does not claim `nomem`, so the compiler keeps memory accesses in place;
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

/// The one WRMSR of this crate without fences; it has a name of its own so that a look at the binary finds it.
///
/// # Safety
///
/// As [`MsrAccess::write`].
// SAFETY: (export_name) nothing else in the crate has this name; two copies of the crate in one program do not link.
#[unsafe(export_name = "rar_regs_write_msr")]
#[inline(never)]
unsafe fn write_msr(msr: u32, value: u64) {
    // SAFETY: the caller keeps the duties of `MsrAccess::write`.
    unsafe { msr::wrmsr(msr, value) }
}

/// Sends an interrupt through the x2APIC of the executing CPU, after everything stored before the call is visible.
///
/// WRMSR to an x2APIC register waits for no earlier store (SDM vol. 3, MSR Access in x2APIC Mode; documented), so a
/// target could look before the request is there. MFENCE, LFENCE and WRMSR stand in one assembly block, so nothing can
/// come between them. The symbol is `rar_regs_send_x2apic`.
///
/// # Safety
///
/// 1. The CPU runs at privilege level 0.
/// 2. Its local APIC is in x2APIC mode.
/// 3. The target can take the message: an INIT or start-up message resets what runs there, an interrupt or NMI runs its
///    handler.
// SAFETY: (export_name) nothing else in the crate has this name; two copies of the crate in one program do not link.
#[unsafe(export_name = "rar_regs_send_x2apic")]
#[inline(never)]
pub unsafe fn send_x2apic(icr: X2apicIcr) {
    let [a, b, c, d, e, f, g, h] = icr.bits().to_le_bytes();
    let low = u32::from_le_bytes([a, b, c, d]);
    let high = u32::from_le_bytes([e, f, g, h]);
    // SAFETY: 1. and 2. the caller's duties: the instruction and the register exist; 3. is the caller's as well.
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

/// The local APIC of the executing CPU in xAPIC mode, through its page of memory-mapped registers.
///
/// The page has the same address on all CPUs and shows each its own APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct XapicMmio {
    base: NonNull<u32>,
}

/// How often [`XapicMmio::send`] looks for an idle APIC: about a millisecond with the PAUSE between the looks, where an
/// idle bus takes an interrupt in about a microsecond.
const MAX_POLLS: u32 = 10_000;

/// Offset of the low word of the interrupt command, in 32-bit words.
const ICR_LOW: usize = 0x300 / 4;
/// Offset of the high word.
const ICR_HIGH: usize = 0x310 / 4;

// SAFETY: the pointer names device registers, not memory of a thread, and `send` keeps interrupts off around its
// accesses, so that both words reach the APIC of one CPU whichever thread or CPU calls.
unsafe impl Send for XapicMmio {}
// SAFETY: as for `Send`; CPUs that send at the same time use different APICs behind the same address.
unsafe impl Sync for XapicMmio {}

impl XapicMmio {
    /// Returns the APIC whose register page is mapped at `base`.
    ///
    /// # Safety
    ///
    /// 1. `base` maps the 4 KiB page of the local APIC, uncached, at this address on every CPU that uses the value,
    ///    for as long as it does.
    /// 2. The APIC is enabled in xAPIC mode there.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u32>) -> Self {
        Self { base }
    }

    /// Sends an interrupt, after everything stored before the call is visible.
    ///
    /// The wait for an idle APIC is bounded, and interrupts are off only from a look that found it idle to the second
    /// write. RFLAGS.IF is left as it was. Stores to the uncached page are not overtaken by earlier stores to ordinary
    /// memory (SDM vol. 3, Memory Ordering; from memory, to be checked), so no fence instruction is needed.
    ///
    /// # Errors
    ///
    /// [`IcrBusy`] if the APIC was sending something else at every look; nothing was sent.
    ///
    /// # Safety
    ///
    /// 1. The CPU runs at privilege level 0.
    /// 2. No NMI handler sends through the same APIC: it could come between the two words.
    /// 3. The target can take the message: an INIT or start-up message resets what runs there, an interrupt or NMI
    ///    runs its handler.
    pub unsafe fn send(&self, icr: XapicIcr) -> Result<(), IcrBusy> {
        for _ in 0..MAX_POLLS {
            // SAFETY: the caller's duty 1.
            let interrupts = unsafe { InterruptsOff::enter() };
            let sent = self.send_if_idle(icr);
            drop(interrupts);
            if sent {
                return Ok(());
            }
            spin_loop();
        }
        Err(IcrBusy { polls: MAX_POLLS })
    }

    fn send_if_idle(self, icr: XapicIcr) -> bool {
        let idle = self.read(ICR_LOW) & XapicIcr::DELIVERY_STATUS == 0;
        if idle {
            // The volatile stores below must not be moved before what the target is to see.
            compiler_fence(Ordering::SeqCst);
            self.write(ICR_HIGH, icr.high());
            self.write(ICR_LOW, icr.low());
        }
        idle
    }

    fn read(self, word: usize) -> u32 {
        // SAFETY: `word` is one of the two offsets above, inside the page promised to `new`.
        let register = unsafe { self.base.add(word) };
        // SAFETY: `new` was promised that the page is mapped; reading the interrupt command has no effect.
        unsafe { register.read_volatile() }
    }

    fn write(self, word: usize, value: u32) {
        // SAFETY: `word` is one of the two offsets above, inside the page promised to `new`.
        let register = unsafe { self.base.add(word) };
        // SAFETY: `new` was promised that the page is mapped; that the message is harmless is `send`'s duty 3.
        unsafe { register.write_volatile(value) }
    }
}

/// Interrupts are off while this lives; dropping it gives RFLAGS.IF back as it was.
struct InterruptsOff {
    were_on: bool,
}

impl InterruptsOff {
    /// # Safety
    ///
    /// 1. The CPU runs at privilege level 0.
    unsafe fn enter() -> Self {
        let were_on = rflags::read().contains(RFlags::FLAGS_IF);
        // SAFETY: the caller's duty 1.
        unsafe { irq::disable() };
        Self { were_on }
    }
}

impl Drop for InterruptsOff {
    fn drop(&mut self) {
        if self.were_on {
            // SAFETY: `enter` was promised privilege level 0, and interrupts were on before it.
            unsafe { irq::enable() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApicId;

    #[test]
    fn cpuid_answers_as_the_processor_does() {
        // SAFETY: 1. CPUID is all that is used here and needs no privilege; 2. no `RarSupport` is used.
        let cpu = unsafe { NativeCpu::new() };
        let leaf_0 = cpu.cpuid(0, 0);
        let expected = core::arch::x86_64::__cpuid_count(0, 0);
        assert_eq!(
            (leaf_0.eax, leaf_0.ebx, leaf_0.ecx, leaf_0.edx),
            (expected.eax, expected.ebx, expected.ecx, expected.edx)
        );
        assert!(leaf_0.eax >= 1);
    }

    #[test]
    fn both_words_land_at_their_offsets_when_idle() {
        let mut page = [0_u32; 1024];
        // SAFETY: 1. and 2. an array stands for the page, and only offsets inside it are touched.
        let apic = unsafe { XapicMmio::new(NonNull::from(&mut page).cast()) };
        assert!(apic.send_if_idle(XapicIcr::rar(ApicId::new(9)).unwrap()));
        assert_eq!(
            (apic.read(0x310 / 4), apic.read(0x300 / 4)),
            (0x0900_0000, 0x300)
        );
        assert_eq!(page.iter().filter(|&&word| word != 0).count(), 2);
    }

    #[test]
    fn nothing_is_written_while_the_apic_is_sending() {
        let mut page = [0_u32; 1024];
        page[0x300 / 4] = 0x1000;
        // SAFETY: as above.
        let apic = unsafe { XapicMmio::new(NonNull::from(&mut page).cast()) };
        assert!(!apic.send_if_idle(XapicIcr::rar(ApicId::new(9)).unwrap()));
        assert_eq!((page[0x310 / 4], page[0x300 / 4]), (0, 0x1000));
    }
}
