//! `MSR_RAR_CONTROL`: switches RAR on for one CPU.

use core::fmt;

use tock_registers::LocalRegisterCopy;

use crate::msr::{self, RarMsr};
use crate::{MsrAccess, MsrFault, RarSupport, ReadError};
use fields::RAR_CONTROL;

/// `MSR_RAR_CONTROL`: whether this CPU serves remote action requests, and whether also with
/// interrupts off.
///
/// One per logical processor. Address and name: SDM vol. 4, Table 2-52; bits: Linux RFC v4 (code).
/// While `ENABLE` is 0 a request sent to this CPU is dropped, not kept (SDM vol. 4, from memory, to
/// be checked).
///
/// # Examples
///
/// ```
/// use rar_regs::{InterruptPolicy, RarControl};
///
/// let control = RarControl::enabled(InterruptPolicy::IgnoreIf);
/// assert_eq!(control.bits(), 0xc000_0000);
/// assert!(!RarControl::DISABLED.is_enabled());
/// ```
#[doc(alias = "MSR_RAR_CONTROL")]
#[doc(alias = "MSR_IA32_RAR_CTRL")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RarControl(u64);

/// What a CPU does with a request that arrives while RFLAGS.IF is 0 (`IGNORE_IF`, bit 30).
///
/// SDM vol. 4 (from memory, to be checked); all Linux versions set the bit (code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InterruptPolicy {
    /// The request is served at once, whatever RFLAGS.IF says. Code that holds off TLB flushes by
    /// switching interrupts off loses that protection.
    #[doc(alias = "IGNORE_IF")]
    #[doc(alias = "RAR_CTRL_IGNORE_IF")]
    IgnoreIf,
    /// The request waits until RFLAGS.IF is 1. Two CPUs that wait for each other with interrupts
    /// off then deadlock.
    RespectIf,
}

impl RarControl {
    /// The address of the register.
    pub const MSR: u32 = RarMsr::Control as u32;

    /// The reserved bits: all but 31 and 30. Linux RFC v1 has a disabled line that puts a vector
    /// into bits 7:0, so an older revision presumably had one there (inferred).
    pub const RESERVED: u64 = 0xffff_ffff_3fff_ffff;

    /// The CPU serves no request.
    pub const DISABLED: Self = Self(0);

    /// Returns the content that makes the CPU serve requests under this policy.
    #[doc(alias = "RAR_CTRL_ENABLE")]
    #[must_use]
    pub fn enabled(policy: InterruptPolicy) -> Self {
        let mut register = Self::DISABLED.register();
        register.write(match policy {
            InterruptPolicy::IgnoreIf => RAR_CONTROL::ENABLE::SET + RAR_CONTROL::IGNORE_IF::SET,
            InterruptPolicy::RespectIf => RAR_CONTROL::ENABLE::SET,
        });
        Self(register.get())
    }

    /// Returns the register of the executing CPU.
    ///
    /// # Errors
    ///
    /// [`ReadError::ReservedBits`] if a reserved bit is set: it was written for another
    /// revision of RAR. [`ReadError::Fault`] if the read raised #GP(0).
    pub fn read<A: MsrAccess + ?Sized>(
        access: &A,
        support: &RarSupport,
    ) -> Result<Self, ReadError> {
        msr::read_defined(access, support.exists(), RarMsr::Control, Self::RESERVED).map(Self)
    }

    /// Writes the register of the executing CPU.
    ///
    /// # Safety
    ///
    /// 1. The executing CPU is the one meant, and stays so until the call returns.
    /// 2. It passed detection or [`RarSupport::check_cpu`] with `support`.
    /// 3. To enable: [`RarActionVectorBase`](crate::RarActionVectorBase) and
    ///    [`RarPayloadTableBase`](crate::RarPayloadTableBase) of this CPU name memory that stays
    ///    RAR's, and is written by software only as the protocol says, until a disabled value was
    ///    written here.
    /// 4. To disable: no other CPU goes on relying on this one to serve its requests.
    ///
    /// # Errors
    ///
    /// [`MsrFault`] if the write raised #GP(0).
    pub unsafe fn write<A: MsrAccess + ?Sized>(
        self,
        access: &A,
        support: &RarSupport,
    ) -> Result<(), MsrFault> {
        // SAFETY: 1. the caller's duties 1 to 4: memory is RAR's before this value lets the CPU
        // reach it.
        unsafe {
            msr::write_defined(
                access,
                support.exists(),
                RarMsr::Control,
                self.0,
                Self::RESERVED,
            )
        }
    }

    /// Switches RAR off on the executing CPU, and returns what the register held before.
    ///
    /// For a CPU that does not use RAR: firmware, or the kernel before a kexec, may have left it
    /// on, and the CPU would go on writing to memory that belongs to others now. Call it on every
    /// CPU that answers flushes in software, and before memory that a former owner had given to RAR
    /// is used. Unlike [`read`](Self::read) it accepts reserved bits, since the code that left the
    /// register on may know another revision.
    ///
    /// # Examples
    ///
    /// ```
    /// use rar_regs::{Detection, FakeCpu, RarControl};
    ///
    /// let cpu = FakeCpu::with_rar(63).with_msr(RarControl::MSR, 0x8000_00e0);
    /// let support = Detection::new().detect(&cpu)?;
    /// // SAFETY: nothing reads memory through a fake's registers.
    /// let before = unsafe { RarControl::switch_off(&cpu, &support) }?;
    /// assert!(before.is_enabled());
    /// assert_eq!(cpu.msr(RarControl::MSR), Some(0));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Safety
    ///
    /// The duties 1, 2 and 4 of [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// [`MsrFault`] if the read or the write raised #GP(0).
    pub unsafe fn switch_off<A: MsrAccess + ?Sized>(
        access: &A,
        support: &RarSupport,
    ) -> Result<Self, MsrFault> {
        let before = Self(msr::read(access, support.exists(), RarMsr::Control)?);
        // SAFETY: 1., 2. and 4. the caller's duties; 3. it does not enable.
        unsafe { Self::DISABLED.write(access, support) }?;
        Ok(before)
    }

    /// Returns the content.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns whether the CPU serves requests (`ENABLE`, bit 31).
    #[must_use]
    pub fn is_enabled(self) -> bool {
        self.register().is_set(RAR_CONTROL::ENABLE)
    }

    /// Returns what happens to requests while interrupts are off. Without meaning while RAR is
    /// disabled.
    #[must_use]
    pub fn interrupt_policy(self) -> InterruptPolicy {
        if self.register().is_set(RAR_CONTROL::IGNORE_IF) {
            InterruptPolicy::IgnoreIf
        } else {
            InterruptPolicy::RespectIf
        }
    }

    const fn register(self) -> LocalRegisterCopy<u64, RAR_CONTROL::Register> {
        LocalRegisterCopy::new(self.0)
    }
}

impl fmt::Debug for RarControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RarControl({:#x})", self.0)
    }
}

mod fields {
    tock_registers::register_bitfields![u64,
        pub(super) RAR_CONTROL [
            IGNORE_IF OFFSET(30) NUMBITS(1) [],
            ENABLE OFFSET(31) NUMBITS(1) [],
        ]
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{assert_fills_word, mask};
    use crate::{Detection, FakeCpu, MsrOperation};

    #[test]
    fn golden_masks() {
        let fields = [mask(RAR_CONTROL::IGNORE_IF), mask(RAR_CONTROL::ENABLE)];
        assert_eq!(fields, [0x4000_0000, 0x8000_0000]);
        assert_fills_word(&fields, RarControl::RESERVED);
        assert_eq!(RarControl::MSR, 0xed);
    }

    #[test]
    fn golden_values() {
        assert_eq!(RarControl::DISABLED.bits(), 0);
        for (policy, bits) in [
            (InterruptPolicy::IgnoreIf, 0xc000_0000),
            (InterruptPolicy::RespectIf, 0x8000_0000),
        ] {
            let control = RarControl::enabled(policy);
            assert_eq!(control.bits(), bits);
            assert!(control.is_enabled());
            assert_eq!(control.interrupt_policy(), policy);
        }
    }

    #[test]
    fn read_reports_reserved_bits() {
        let cpu = FakeCpu::with_rar(63);
        let support = Detection::new().detect(&cpu).unwrap();
        cpu.set_msr(RarControl::MSR, 0x8000_00e0).unwrap();
        assert_eq!(
            RarControl::read(&cpu, &support),
            Err(ReadError::ReservedBits {
                msr: 0xed,
                value: 0x8000_00e0,
                reserved: 0xe0
            })
        );
        cpu.set_msr(RarControl::MSR, 0x8000_0000).unwrap();
        assert_eq!(
            RarControl::read(&cpu, &support),
            Ok(RarControl::enabled(InterruptPolicy::RespectIf))
        );
    }

    #[test]
    fn write_reaches_the_register_and_reports_a_fault() {
        let cpu = FakeCpu::with_rar(63);
        let support = Detection::new().detect(&cpu).unwrap();
        let control = RarControl::enabled(InterruptPolicy::IgnoreIf);
        // SAFETY: duties 1 to 4 hold without effort: nothing reads memory through a fake's
        // registers.
        unsafe { control.write(&cpu, &support) }.unwrap();
        assert_eq!(cpu.msr(0xed), Some(0xc000_0000));

        // SAFETY: as above.
        let outcome = unsafe { control.write(&FakeCpu::new(), &support) };
        assert_eq!(
            outcome,
            Err(MsrFault {
                msr: 0xed,
                access: MsrOperation::Write
            })
        );
    }
}
