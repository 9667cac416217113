//! One CPU that answers in software.

use crate::claim::Claim;
use crate::cpu_id::PinnedCpu;
use crate::cpu_set::DEFAULT_WORDS;
use crate::domain::Domain;
use crate::life_cycle_error::{LifeCycleError, NotTaken};
use crate::local_tlb::LocalTlb;
use crate::per_cpu::Responder;

/// A CPU that is online without RAR: its interrupt handler answers through [`Domain::serve`].
///
/// The same table, vectors and orchestrator as with RAR; only the signal differs, an ordinary interrupt.
#[derive(Debug)]
#[must_use = "dropping it leaves the CPU online; keep it to go offline"]
pub struct SoftwareCpu<'d, const WORDS: usize = DEFAULT_WORDS> {
    domain: &'d Domain<'d, WORDS>,
    claim: Claim<'d>,
}

impl<'d, const WORDS: usize> SoftwareCpu<'d, WORDS> {
    /// Brings this CPU online: clears its vector, flushes everything, publishes it, and flushes once more.
    ///
    /// From here on its handler for the software signal must call [`Domain::serve`].
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::NotRegistered`] before [`Domain::register`], [`LifeCycleError::Taken`] if it is online or on its way.
    pub fn join(
        domain: &'d Domain<'d, WORDS>,
        cpu: &PinnedCpu<'_>,
        tlb: &impl LocalTlb,
    ) -> Result<Self, LifeCycleError> {
        let claim = Claim::new(domain, cpu)?;
        domain.clear_vector(claim.state);
        domain.publish_online(cpu, claim.state, Responder::Software, tlb);
        Ok(Self { domain, claim })
    }

    /// Takes this CPU offline.
    ///
    /// Call it with interrupts disabled and with page tables loaded that are never freed. From this call until it joins again,
    /// the CPU may use only memory whose translation does not change: nobody flushes it any more.
    ///
    /// # Errors
    ///
    /// [`NotTaken`] with [`LifeCycleError::WrongCpu`] on another CPU than the one that joined.
    pub fn leave(self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) -> Result<(), NotTaken<Self>> {
        if let Err(error) = self.claim.check(cpu) {
            return Err(NotTaken { error, value: self });
        }
        self.domain.publish_offline(cpu);
        self.domain.retire(cpu, self.claim.state, tlb);
        Ok(())
    }
}
