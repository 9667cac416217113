//! One CPU that answers in software.

use crate::claim::Claim;
use crate::cpu_id::PinnedCpu;
use crate::cpu_set::DEFAULT_WORDS;
use crate::domain::Domain;
use crate::life_cycle_error::{LifeCycleError, StepError};
use crate::local_tlb::LocalTlb;
use crate::per_cpu::Responder;

/// A CPU that is online without RAR: its interrupt handler answers through [`Domain::answer`].
///
/// The same table, vectors and orchestrator as with RAR; only the signal differs, an ordinary
/// interrupt. On a CPU that has RAR and shall not use it, firmware or a previous kernel may have
/// left it enabled: use [`RarCpu::switch_off`](crate::RarCpu::switch_off) first.
#[derive(Debug)]
#[must_use = "dropping it leaves the CPU online; keep it to go offline"]
pub struct SoftwareCpu<'d, const WORDS: usize = DEFAULT_WORDS> {
    claim: Claim<'d, WORDS>,
}

impl<'d, const WORDS: usize> SoftwareCpu<'d, WORDS> {
    /// Brings this CPU online: clears its vector, flushes everything, publishes it, and flushes
    /// once more.
    ///
    /// From here on its handler for the software signal must call [`Domain::answer`].
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::NotRegistered`] before [`Domain::register`]; [`LifeCycleError::Taken`] if
    /// the CPU is online or another value drives it.
    pub fn bring_online(
        domain: &'d Domain<WORDS>,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<Self, LifeCycleError> {
        let claim = Claim::new(domain, cpu)?;
        domain.end_open_entries(claim.state);
        claim.publish_online(cpu, Responder::Software, tlb);
        Ok(Self { claim })
    }

    /// Returns the value of a CPU that is online, and for which software has begun to answer.
    pub(crate) fn of(claim: Claim<'d, WORDS>) -> Self {
        Self { claim }
    }

    /// Takes this CPU offline. Entries that are open in its vector are answered by a full flush.
    ///
    /// # Errors
    ///
    /// [`StepError`] with [`LifeCycleError::WrongCpu`] on another CPU than the one that came
    /// online, and with [`LifeCycleError::Dead`] after [`Domain::declare_dead`]: nothing has
    /// changed.
    ///
    /// # Safety
    ///
    /// No flush reaches the CPU from this call until it comes online again, and memory is freed
    /// meanwhile:
    ///
    /// 1. Interrupts are disabled here, and page tables are loaded that are never freed.
    /// 2. Until the CPU is online again it uses only memory whose translation does not change.
    #[expect(
        unsafe_code,
        reason = "memory is freed on the word of flushes that skip the CPU"
    )]
    pub unsafe fn take_offline(
        self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> Result<(), StepError<Self>> {
        if let Err(cause) = self.claim.check(cpu) {
            return Err(StepError { cause, cpu: self });
        }
        self.claim.publish_offline();
        self.claim.retire(cpu, tlb);
        Ok(())
    }
}
