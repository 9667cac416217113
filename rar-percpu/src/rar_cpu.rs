//! The life of one CPU's RAR unit: detected, configured, enabled.

use core::marker::PhantomData;
use core::ptr::from_ref;

use rar_regs::{
    Cpuid, InterruptPolicy, MsrAccess, RarActionVectorBase, RarControl, RarPayloadTableBase,
    RarSupport,
};

use crate::claim::Claim;
use crate::cpu_id::PinnedCpu;
use crate::cpu_set::DEFAULT_WORDS;
use crate::domain::Domain;
use crate::life_cycle_error::{LifeCycleError, NotTaken, SharedMemory};
use crate::local_tlb::LocalTlb;
use crate::per_cpu::Responder;
use crate::phys_addr::PhysAddrOf;

/// State of [`RarCpu`]: this CPU has the RAR that was detected on the boot CPU. Its registers hold anything.
#[derive(Debug)]
pub enum Detected {}

/// State of [`RarCpu`]: RAR is disabled, the vector is clear, both addresses are programmed.
#[derive(Debug)]
pub enum Configured {}

/// State of [`RarCpu`]: the CPU is online and its microcode answers.
#[derive(Debug)]
pub enum Enabled {}

/// One CPU's RAR unit, in a state that its type tells: [`Detected`] -> [`Configured`] -> [`Enabled`].
///
/// Each step consumes the value and gives the next one; [`disable`](RarCpu::disable) gives the first one back, for
/// a CPU that goes offline or sleeps. Every register is written on every way up: firmware, a sleep state or a previous kernel may
/// have left any value.
///
/// A step that fails leaves RAR disabled on the CPU, the CPU offline, and consumes the value; start again with
/// [`RarCpu::detect`].
#[derive(Debug)]
#[must_use = "the CPU takes no further step without it"]
pub struct RarCpu<'d, A, S, const WORDS: usize = DEFAULT_WORDS> {
    domain: &'d Domain<'d, WORDS>,
    claim: Claim<'d>,
    pub(crate) support: RarSupport,
    pub(crate) registers: A,
    step: PhantomData<S>,
}

impl<'d, A: MsrAccess + Cpuid, const WORDS: usize> RarCpu<'d, A, Detected, WORDS> {
    /// Returns this CPU's unit after checking that it agrees with what was detected on the boot CPU.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::NotRegistered`], [`LifeCycleError::Taken`], or [`LifeCycleError::Support`] if this CPU disagrees: then RAR must stay off on every CPU of
    /// the domain.
    pub fn detect(
        domain: &'d Domain<'d, WORDS>,
        cpu: &PinnedCpu<'_>,
        support: RarSupport,
        registers: A,
    ) -> Result<Self, LifeCycleError> {
        let claim = Claim::new(domain, cpu)?;
        support.check_cpu(&registers)?;
        Ok(Self {
            domain,
            claim,
            support,
            registers,
            step: PhantomData,
        })
    }

    /// Disables RAR, clears the vector, and programs both addresses.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::WrongCpu`], [`LifeCycleError::NoPhysicalAddress`], [`LifeCycleError::Address`], [`LifeCycleError::Msr`], or [`LifeCycleError::NotRetained`] when a register reads back
    /// something else.
    pub fn configure(
        self,
        cpu: &PinnedCpu<'_>,
        addresses: &impl PhysAddrOf,
    ) -> Result<RarCpu<'d, A, Configured, WORDS>, LifeCycleError> {
        self.claim.check(cpu)?;
        let width = self.support.physical_address_width();
        let table = physical(addresses, self.domain.table(), SharedMemory::PayloadTable)?;
        let table = RarPayloadTableBase::new(table, width)?;
        let vector = physical(
            addresses,
            self.claim.state.vector(),
            SharedMemory::ActionVector,
        )?;
        let vector = RarActionVectorBase::new(vector, width)?;

        self.write_control(RarControl::DISABLED)?;
        self.domain.clear_vector(self.claim.state);
        self.write_bases(vector, table)?;
        Ok(self.into_step())
    }
}

impl<'d, A: MsrAccess + Cpuid, const WORDS: usize> RarCpu<'d, A, Configured, WORDS> {
    /// Enables RAR, flushes everything, publishes the CPU as online, and flushes once more.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::WrongCpu`], [`LifeCycleError::Msr`] or [`LifeCycleError::NotRetained`]: RAR is disabled and the CPU stays offline.
    ///
    /// # Safety
    ///
    /// 1. This CPU's registers are as [`configure`](RarCpu::configure) left them: no reset and no sleep state since.
    /// 2. The domain's table and this CPU's part of it stay where they are until RAR is disabled here, also if this value is
    ///    dropped.
    /// 3. With [`InterruptPolicy::IgnoreIf`], no code on this CPU relies on disabled interrupts to keep its translations.
    #[expect(
        unsafe_code,
        reason = "the kernel's one promise about the memory that microcode follows"
    )]
    pub unsafe fn enable(
        self,
        cpu: &PinnedCpu<'_>,
        policy: InterruptPolicy,
        tlb: &impl LocalTlb,
    ) -> Result<RarCpu<'d, A, Enabled, WORDS>, LifeCycleError> {
        self.claim.check(cpu)?;
        self.write_control(RarControl::enabled(policy))?;
        self.domain
            .publish_online(cpu, self.claim.state, Responder::Microcode, tlb);
        Ok(self.into_step())
    }
}

impl<'d, A: MsrAccess + Cpuid, const WORDS: usize> RarCpu<'d, A, Enabled, WORDS> {
    /// Takes the CPU offline and disables RAR; what was still open in its vector is answered by a full flush.
    ///
    /// Call it with interrupts disabled and with page tables loaded that are never freed. From this call until the CPU is enabled
    /// again, it may use only memory whose translation does not change.
    ///
    /// # Errors
    ///
    /// [`NotTaken`] with [`LifeCycleError::WrongCpu`], [`LifeCycleError::Msr`] or [`LifeCycleError::NotRetained`]: the CPU is online as before. Its unit may still
    /// follow the programmed addresses, so that the memory behind them must stay.
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the value back, and nothing here allocates"
    )]
    pub fn disable(
        self,
        cpu: &PinnedCpu<'_>,
        tlb: &impl LocalTlb,
    ) -> Result<RarCpu<'d, A, Detected, WORDS>, NotTaken<Self>> {
        if let Err(error) = self.claim.check(cpu) {
            return Err(NotTaken { error, value: self });
        }
        self.domain.publish_offline(cpu);
        if let Err(error) = self.write_control(RarControl::DISABLED) {
            self.domain
                .publish_online(cpu, self.claim.state, Responder::Microcode, tlb);
            return Err(NotTaken { error, value: self });
        }
        self.domain.retire(cpu, self.claim.state, tlb);
        Ok(self.into_step())
    }
}

impl<'d, A: MsrAccess, S, const WORDS: usize> RarCpu<'d, A, S, WORDS> {
    fn into_step<T>(self) -> RarCpu<'d, A, T, WORDS> {
        RarCpu {
            domain: self.domain,
            claim: self.claim,
            support: self.support,
            registers: self.registers,
            step: PhantomData,
        }
    }
}

fn physical<T>(
    addresses: &impl PhysAddrOf,
    memory: &T,
    what: SharedMemory,
) -> Result<u64, LifeCycleError> {
    addresses
        .phys_addr_of(from_ref(memory).cast(), size_of::<T>())
        .ok_or(LifeCycleError::NoPhysicalAddress(what))
}
