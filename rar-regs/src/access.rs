//! The boundary to the CPU: model-specific registers and CPUID.

use core::fmt;

/// Access to the model-specific registers of the CPU that executes the call.
///
/// The libraries reach an MSR only through this trait, so that the same driver code runs on silicon
/// (`NativeCpu`), in a kernel with an exception table, and on a host against `FakeCpu` (feature
/// `fake`).
///
/// # Implementation safety
///
/// Callers free memory and skip TLB flushes on the strength of what these two functions report, so
/// an implementation must keep all of:
///
/// 1. `read` returns `Ok` only with the value that the register of the executing CPU held at that
///    moment.
/// 2. `write` returns `Ok` only after that register took the whole value.
/// 3. An access that raised #GP(0) is reported as [`MsrFault`], never as `Ok`, and changes no
///    register. An implementation that cannot catch the exception lets it be delivered instead.
/// 4. The compiler may not move memory accesses across either function.
/// 5. A value of the type exists only where the safe functions of this crate may call `read` on the
///    strength of it: at privilege level 0, and with a [`RarSupport`](crate::RarSupport) only of
///    the same machine (as `NativeCpu::new` demands); or no exception can come out of `read`.
pub unsafe trait MsrAccess {
    /// Returns the value of the register at address `msr` (RDMSR).
    ///
    /// # Safety
    ///
    /// 1. The CPU runs at privilege level 0.
    /// 2. The register exists on this CPU, or the implementation reports the exception.
    /// 3. Reading has no side effect that breaks memory safety.
    ///
    /// # Errors
    ///
    /// [`MsrFault`] if the access raised #GP(0). The native implementation never returns it: there
    /// the exception reaches the kernel's handler.
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault>;

    /// Writes `value` to the register at address `msr` (WRMSR).
    ///
    /// WRMSR to an x2APIC register does not order earlier stores. Send interrupts with
    /// `send_x2apic`, which fences, not with this function.
    ///
    /// # Safety
    ///
    /// 1. The CPU runs at privilege level 0.
    /// 2. The register exists on this CPU and is writable, or the implementation reports the
    ///    exception.
    /// 3. `value` is legal for the register: reserved bits as the manual asks.
    /// 4. The effect breaks no memory safety: memory that the CPU may now read or write on its own
    ///    is given to it for as long as the register names it.
    ///
    /// # Errors
    ///
    /// [`MsrFault`] if the access raised #GP(0); the register then holds what it held before.
    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault>;
}

// SAFETY: both functions hand over to `T`, which keeps the same duties.
unsafe impl<T: MsrAccess + ?Sized> MsrAccess for &T {
    unsafe fn read(&self, msr: u32) -> Result<u64, MsrFault> {
        // SAFETY: the caller keeps the duties of `MsrAccess::read`.
        unsafe { (**self).read(msr) }
    }

    unsafe fn write(&self, msr: u32, value: u64) -> Result<(), MsrFault> {
        // SAFETY: the caller keeps the duties of `MsrAccess::write`.
        unsafe { (**self).write(msr, value) }
    }
}

/// The CPUID instruction of the CPU that executes the call.
///
/// CPUID is not privileged and has no effect but its answer, so the trait is safe. What must be
/// true of the answer is what the SDM says of the instruction: the leaves describe the same CPU
/// whose registers [`MsrAccess`] reaches.
pub trait Cpuid {
    /// Returns what CPUID answers for `leaf` (EAX) and `subleaf` (ECX).
    ///
    /// A leaf above the highest one has no meaning (SDM vol. 2, CPUID: Intel CPUs answer with the
    /// highest basic leaf): ask leaf 0 or `0x8000_0000` first.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult;
}

impl<T: Cpuid + ?Sized> Cpuid for &T {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        (**self).cpuid(leaf, subleaf)
    }
}

/// The four registers that CPUID answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CpuidResult {
    /// EAX after the instruction.
    pub eax: u32,
    /// EBX after the instruction.
    pub ebx: u32,
    /// ECX after the instruction.
    pub ecx: u32,
    /// EDX after the instruction.
    pub edx: u32,
}

/// Which of the two instructions touched a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MsrOperation {
    /// RDMSR.
    Read,
    /// WRMSR.
    Write,
}

/// An MSR access that raised #GP(0), or a write that was not made since its value has reserved bits
/// set, for which #GP(0) is the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MsrFault {
    /// The address of the register.
    pub msr: u32,
    /// The instruction.
    pub access: MsrOperation,
}

impl fmt::Display for MsrFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { msr, access } = self;
        match access {
            MsrOperation::Read => {
                write!(
                    f,
                    "RDMSR of {msr:#x} raised #GP(0): the register does not exist here"
                )
            }
            MsrOperation::Write => write!(
                f,
                "WRMSR to {msr:#x} raised #GP(0), or was not made: the register is missing or \
                 read-only, or the value has reserved bits set"
            ),
        }
    }
}

impl core::error::Error for MsrFault {}
