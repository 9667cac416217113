//! The life of one CPU's RAR unit: detected, configured, enabled.

use core::ptr::from_ref;
// Of `core` under loom, too: one CPU alone writes it.
use core::sync::atomic::{AtomicBool, Ordering};

use rar_regs::{
    Cpuid, InterruptPolicy, MsrAccess, RarActionVectorBase, RarControl, RarPayloadTableBase,
    RarSupport,
};

use crate::claim::Claim;
use crate::cpu_id::PinnedCpu;
use crate::cpu_set::DEFAULT_WORDS;
use crate::domain::Domain;
use crate::life_cycle_error::{LifeCycleError, SharedMemory, StepError};
use crate::local_tlb::LocalTlb;
use crate::per_cpu::Responder;
use crate::physical_address_of::PhysicalAddressOf;
use crate::software_cpu::SoftwareCpu;

/// State of [`RarCpu`]: this CPU has the RAR that was detected on the boot CPU. Its registers hold
/// anything.
#[derive(Debug)]
pub struct Detected(());

/// State of [`RarCpu`]: RAR is disabled, the vector is clear, both addresses are programmed.
#[derive(Debug)]
pub struct Configured(Bases);

/// State of [`RarCpu`]: the CPU is online and its microcode answers.
#[derive(Debug)]
pub struct Enabled {
    bases: Bases,
    control: RarControl,
    /// Whether the unit is being programmed anew: a handler that cuts in does not touch it.
    is_being_restored: AtomicBool,
}

/// What both address registers hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bases {
    pub(crate) vector: RarActionVectorBase,
    pub(crate) table: RarPayloadTableBase,
}

/// What [`RarCpu::verify`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verified {
    /// Every register held what was written, and the CPU was not demoted: nothing was done.
    Intact,
    /// A register had lost its value, or the CPU was demoted: the unit was programmed anew, and the
    /// CPU is armed again.
    Restored,
}

/// One CPU's RAR unit, in a state that its type tells: [`Detected`] -> [`Configured`] ->
/// [`Enabled`].
///
/// Each step consumes the value and gives the next one; [`take_offline`](RarCpu::take_offline)
/// gives the first one back, for a CPU that goes offline or sleeps. Every register is written on
/// every way up: firmware, a sleep state or a previous kernel may have left any value.
///
/// A step up that fails leaves the CPU offline and its RAR disabled: zero is the first thing that
/// is written. It consumes the value; start again with [`RarCpu::detect`]. Two failures leave the
/// registers untouched: one of [`detect`](RarCpu::detect), and a step on the wrong CPU.
#[derive(Debug)]
#[must_use = "the CPU takes no further step without it"]
pub struct RarCpu<'d, A, S, const WORDS: usize = DEFAULT_WORDS> {
    claim: Claim<'d, WORDS>,
    pub(crate) support: RarSupport,
    pub(crate) registers: A,
    step: S,
}

impl<'d, A: MsrAccess + Cpuid, const WORDS: usize> RarCpu<'d, A, Detected, WORDS> {
    /// Returns this CPU's unit after checking that it agrees with what was detected on the boot
    /// CPU. Writes no register.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::NotRegistered`] before [`Domain::register`]; [`LifeCycleError::Taken`] if
    /// the CPU is online or another value drives it; [`LifeCycleError::Support`] if this CPU
    /// disagrees: then RAR must stay off on every CPU of the domain.
    pub fn detect(
        domain: &'d Domain<WORDS>,
        cpu: &PinnedCpu<'_>,
        support: RarSupport,
        registers: A,
    ) -> Result<Self, LifeCycleError> {
        let claim = Claim::new(domain, cpu)?;
        support.check_cpu(&registers)?;
        Ok(Self {
            claim,
            support,
            registers,
            step: Detected(()),
        })
    }

    /// Disables RAR on a CPU that shall answer in software: firmware or a previous kernel may have
    /// left it enabled, with addresses of its own.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::WrongCpu`] on another CPU; [`LifeCycleError::Msr`] if the register faults;
    /// [`LifeCycleError::NotRetained`] if it reads back something else.
    pub fn switch_off(self, cpu: &PinnedCpu<'_>) -> Result<(), LifeCycleError> {
        self.claim.check(cpu)?;
        self.write_control(RarControl::DISABLED)
    }

    /// Disables RAR, clears the vector, and programs both addresses.
    ///
    /// From now on the domain uses no more entries of the table than this CPU has.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::WrongCpu`] on another CPU; [`LifeCycleError::UnitsRefused`] after
    /// [`Domain::refuse_units`]; [`LifeCycleError::NoPhysicalAddress`] if `addresses` knows none
    /// for the table or the vector; [`LifeCycleError::Address`] if the register cannot hold it;
    /// [`LifeCycleError::Msr`] if a register faults; [`LifeCycleError::NotRetained`] if one reads
    /// back something else.
    pub fn configure(
        self,
        cpu: &PinnedCpu<'_>,
        addresses: &impl PhysicalAddressOf,
    ) -> Result<RarCpu<'d, A, Configured, WORDS>, LifeCycleError> {
        self.claim.check(cpu)?;
        self.write_control(RarControl::DISABLED)?;
        let (domain, state) = (self.claim.domain, self.claim.state);
        if domain.refuses_units() {
            return Err(LifeCycleError::UnitsRefused(cpu.id()));
        }
        domain.limit_entries(self.support.entries());
        domain.end_open_entries(state);

        let width = self.support.physical_address_width();
        let table = physical(addresses, domain.table(), SharedMemory::PayloadTable)?;
        let vector = physical(addresses, state.vector(), SharedMemory::ActionVector)?;
        let bases = Bases {
            vector: RarActionVectorBase::new(vector, width)?,
            table: RarPayloadTableBase::new(table, width)?,
        };
        self.write_bases(bases)?;
        Ok(self.with_step(Configured(bases)))
    }
}

impl<'d, A: MsrAccess + Cpuid, const WORDS: usize> RarCpu<'d, A, Configured, WORDS> {
    /// Enables RAR, flushes everything, publishes the CPU as online, and flushes once more.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::WrongCpu`] on another CPU; [`LifeCycleError::Msr`] if the control register
    /// faults; [`LifeCycleError::NotRetained`] if it reads back something else;
    /// [`LifeCycleError::UnitsRefused`] after [`Domain::refuse_units`]. The CPU stays offline, with
    /// one exception: a unit that is refused and cannot be disabled again. The error is that of the
    /// register then, and the CPU is online and demoted.
    ///
    /// # Safety
    ///
    /// 1. This CPU's registers are as [`configure`](RarCpu::configure) left them: no reset and no
    ///    sleep state since.
    /// 2. The domain and this CPU's memory stay where they are until RAR is disabled here, also if
    ///    this value is dropped.
    /// 3. With [`InterruptPolicy::IgnoreIf`], no code on this CPU relies on disabled interrupts to
    ///    keep its translations.
    #[expect(
        unsafe_code,
        reason = "the kernel's one promise about the memory that microcode follows"
    )]
    pub unsafe fn bring_online(
        self,
        cpu: &PinnedCpu<'_>,
        policy: InterruptPolicy,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<RarCpu<'d, A, Enabled, WORDS>, LifeCycleError> {
        self.claim.check(cpu)?;
        let control = RarControl::enabled(policy);
        self.write_control(control)?;
        self.claim.publish_online(cpu, Responder::Microcode, tlb);
        let bases = self.step.0;
        let enabled = self.with_step(Enabled {
            bases,
            control,
            is_being_restored: AtomicBool::new(false),
        });
        // After the publication, and the fence behind it. Partner: the fence in `refuse_units`.
        if !enabled.claim.domain.refuses_units() {
            return Ok(enabled);
        }
        // SAFETY: 1. and 2. The CPU was offline when it was called here, and the caller has not
        // gone on: it uses what it used then.
        match unsafe { enabled.take_offline(cpu, tlb) } {
            Ok(_) => Err(LifeCycleError::UnitsRefused(cpu.id())),
            Err(stays) => Err(stays.cause),
        }
    }
}

impl<'d, A: MsrAccess + Cpuid, const WORDS: usize> RarCpu<'d, A, Enabled, WORDS> {
    /// Checks this CPU's registers and programs the unit anew if one lost its value, or if the CPU
    /// was demoted.
    ///
    /// For the way out of a deep sleep state, and for a CPU that was demoted
    /// ([`Domain::demote`]). Entries that are open in the vector are answered by a full flush.
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::WrongCpu`] on another CPU; [`LifeCycleError::Dead`] after
    /// [`Domain::declare_dead`]; [`LifeCycleError::Taken`] in a handler that cuts into this very
    /// call, which goes on behind it; [`LifeCycleError::Msr`] if a register faults;
    /// [`LifeCycleError::NotRetained`] if one reads back something else. After the last two the CPU
    /// is online and demoted: it is flushed by generation.
    pub fn verify(
        &self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<Verified, LifeCycleError> {
        self.claim.check(cpu)?;
        let step = &self.step;
        let is_intact = self
            .bases_are(step.bases)
            .and_then(|()| self.control_is(step.control));
        if is_intact.is_ok() && !self.claim.state.generation().is_demoted() {
            return Ok(Verified::Intact);
        }
        // A unit that a handler enabled again would answer what this call is about to.
        if step.is_being_restored.swap(true, Ordering::AcqRel) {
            return Err(LifeCycleError::Taken(cpu.id()));
        }
        // No initiator arms the vector while the unit is disabled, or after an error.
        self.claim.domain.distrust(cpu.id());
        let restored = self.restore(cpu, tlb);
        step.is_being_restored.store(false, Ordering::Release);
        restored
    }

    /// Programs the unit anew, after initiators were told to arm the CPU no more.
    fn restore(
        &self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<Verified, LifeCycleError> {
        let (domain, state) = (self.claim.domain, self.claim.state);
        let Enabled { bases, control, .. } = self.step;
        self.write_control(RarControl::DISABLED)?;
        domain.answer_by_one_flush(cpu, state, tlb);
        self.write_bases(bases)?;
        self.write_control(control)?;
        domain.promote(state);
        Ok(Verified::Restored)
    }

    /// Disables RAR while the CPU stays online: the handler of an ordinary interrupt answers from
    /// now on. Entries that are open in its vector are answered by a full flush.
    ///
    /// For a system that turns RAR off ([`Domain::refuse_units`]), and for a unit that is not to be
    /// trusted. No flush has to end first, and none is missed. A flush that signals the unit at
    /// this very moment ends by its second signal or by its fallback.
    ///
    /// # Errors
    ///
    /// [`StepError`] with the value, as of [`take_offline`](Self::take_offline).
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the value back, and nothing here allocates"
    )]
    pub fn switch_to_software(
        self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<SoftwareCpu<'d, WORDS>, StepError<Self>> {
        if let Err(cause) = self.claim.check(cpu) {
            return Err(StepError { cause, cpu: self });
        }
        let (domain, state) = (self.claim.domain, self.claim.state);
        // Initiators flush the CPU by generation until software answers.
        domain.distrust(cpu.id());
        if let Err(cause) = self.write_control(RarControl::DISABLED) {
            return Err(StepError { cause, cpu: self });
        }
        domain.answer_by_one_flush(cpu, state, tlb);
        self.claim.answer_in_software();
        // An initiator that saw the unit may have armed it since.
        domain.answer(cpu, tlb);
        Ok(SoftwareCpu::of(self.claim))
    }

    /// Takes the CPU offline and disables RAR. Entries that are open in its vector are answered by
    /// a full flush.
    ///
    /// # Errors
    ///
    /// [`StepError`] with the value, in the state it was in:
    ///
    /// - [`LifeCycleError::WrongCpu`] on another CPU, [`LifeCycleError::Dead`] after
    ///   [`Domain::declare_dead`]: nothing has changed.
    /// - [`LifeCycleError::Msr`] if the control register faults, [`LifeCycleError::NotRetained`] if
    ///   it reads back something else: it is unknown whether the unit is enabled. The CPU is online
    ///   and demoted, and the memory that its registers name must stay.
    ///
    /// # Safety
    ///
    /// No flush reaches the CPU from this call until it comes online again, and memory is freed
    /// meanwhile:
    ///
    /// 1. Interrupts are disabled here, and page tables are loaded that are never freed.
    /// 2. Until the CPU is online again it uses only memory whose translation does not change.
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
    ) -> Result<RarCpu<'d, A, Detected, WORDS>, StepError<Self>> {
        if let Err(cause) = self.claim.check(cpu) {
            return Err(StepError { cause, cpu: self });
        }
        self.claim.publish_offline();
        if let Err(cause) = self.write_control(RarControl::DISABLED) {
            self.claim.publish_online(cpu, Responder::Microcode, tlb);
            self.claim.domain.distrust(cpu.id());
            return Err(StepError { cause, cpu: self });
        }
        self.claim.retire(cpu, tlb);
        Ok(self.with_step(Detected(())))
    }
}

impl<'d, A: MsrAccess, S, const WORDS: usize> RarCpu<'d, A, S, WORDS> {
    fn with_step<T>(self, step: T) -> RarCpu<'d, A, T, WORDS> {
        RarCpu {
            claim: self.claim,
            support: self.support,
            registers: self.registers,
            step,
        }
    }
}

fn physical<T>(
    addresses: &impl PhysicalAddressOf,
    memory: &T,
    what: SharedMemory,
) -> Result<u64, LifeCycleError> {
    addresses
        .physical_address_of(from_ref(memory).cast(), size_of::<T>())
        .ok_or(LifeCycleError::NoPhysicalAddress(what))
}
