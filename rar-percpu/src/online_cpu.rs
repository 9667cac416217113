//! One CPU that is online, answered for by microcode or by software.

use rar_regs::{Cpuid, MsrAccess};

use crate::cpu_id::PinnedCpu;
use crate::cpu_set::DEFAULT_WORDS;
use crate::life_cycle_error::{LifeCycleError, StepError};
use crate::local_tlb::LocalTlb;
use crate::rar_cpu::{Enabled, RarCpu, Verified};
use crate::software_cpu::SoftwareCpu;

/// The value that drives a CPU while it is online: what a kernel keeps for each.
#[derive(Debug)]
#[must_use = "dropping it leaves the CPU online; keep it to go offline"]
pub enum OnlineCpu<'d, A, const WORDS: usize = DEFAULT_WORDS> {
    /// The CPU's microcode answers.
    Microcode(RarCpu<'d, A, Enabled, WORDS>),
    /// The handler of an ordinary interrupt answers.
    Software(SoftwareCpu<'d, WORDS>),
}

impl<A: MsrAccess + Cpuid, const WORDS: usize> OnlineCpu<'_, A, WORDS> {
    /// Checks the CPU's registers as [`RarCpu::verify`] does; a CPU that answers in software has
    /// none.
    ///
    /// # Errors
    ///
    /// As [`RarCpu::verify`].
    pub fn verify(
        &self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<Verified, LifeCycleError> {
        match self {
            Self::Microcode(unit) => unit.verify(cpu, tlb),
            Self::Software(_) => Ok(Verified::Intact),
        }
    }

    /// Has software answer for the CPU, as [`RarCpu::switch_to_software`] does; nothing is to be
    /// done where it does so already.
    ///
    /// # Errors
    ///
    /// As [`RarCpu::switch_to_software`].
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the value back, and nothing here allocates"
    )]
    pub fn switch_to_software(
        self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<Self, StepError<Self>> {
        match self {
            Self::Microcode(unit) => match unit.switch_to_software(cpu, tlb) {
                Ok(handler) => Ok(Self::Software(handler)),
                Err(StepError { cause, cpu }) => Err(StepError {
                    cause,
                    cpu: Self::Microcode(cpu),
                }),
            },
            handler @ Self::Software(_) => Ok(handler),
        }
    }

    /// Takes the CPU offline.
    ///
    /// # Errors
    ///
    /// As [`RarCpu::take_offline`] or [`SoftwareCpu::take_offline`].
    ///
    /// # Safety
    ///
    /// As [`RarCpu::take_offline`].
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the value back, and nothing here allocates"
    )]
    #[expect(
        unsafe_code,
        reason = "memory is freed on the word of flushes that skip the CPU"
    )]
    pub unsafe fn take_offline(
        self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<(), StepError<Self>> {
        match self {
            // SAFETY: 1. and 2. of the caller.
            Self::Microcode(unit) => match unsafe { unit.take_offline(cpu, tlb) } {
                Ok(_) => Ok(()),
                Err(StepError { cause, cpu }) => Err(StepError {
                    cause,
                    cpu: Self::Microcode(cpu),
                }),
            },
            // SAFETY: 1. and 2. of the caller.
            Self::Software(handler) => match unsafe { handler.take_offline(cpu, tlb) } {
                Ok(()) => Ok(()),
                Err(StepError { cause, cpu }) => Err(StepError {
                    cause,
                    cpu: Self::Software(cpu),
                }),
            },
        }
    }
}

impl<'d, A, const WORDS: usize> From<RarCpu<'d, A, Enabled, WORDS>> for OnlineCpu<'d, A, WORDS> {
    fn from(unit: RarCpu<'d, A, Enabled, WORDS>) -> Self {
        Self::Microcode(unit)
    }
}

impl<'d, A, const WORDS: usize> From<SoftwareCpu<'d, WORDS>> for OnlineCpu<'d, A, WORDS> {
    fn from(handler: SoftwareCpu<'d, WORDS>) -> Self {
        Self::Software(handler)
    }
}
