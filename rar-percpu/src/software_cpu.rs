//! One CPU that answers in software.

use crate::cpu_id::PinnedCpu;
use crate::cpu_set::DEFAULT_WORDS;
use crate::domain::Domain;
use crate::life_cycle_error::LifeCycleError;
use crate::local_tlb::LocalTlb;
use crate::per_cpu::{PerCpu, Responder};

/// A CPU that is online without RAR: its interrupt handler answers through [`Domain::serve`].
///
/// The same table, vectors and orchestrator as with RAR; only the signal differs, an ordinary interrupt.
#[derive(Debug)]
#[must_use = "dropping it leaves the CPU online; keep it to go offline"]
pub struct SoftwareCpu<'d, const WORDS: usize = DEFAULT_WORDS> {
    domain: &'d Domain<'d, WORDS>,
    state: &'d PerCpu,
}

impl<'d, const WORDS: usize> SoftwareCpu<'d, WORDS> {
    /// Brings this CPU online: clears its vector, flushes everything, publishes it, and flushes once more.
    ///
    /// From here on its handler for the software signal must call [`Domain::serve`].
    ///
    /// # Errors
    ///
    /// [`LifeCycleError::NotRegistered`] before [`Domain::register`], [`LifeCycleError::AlreadyOnline`] if it is online.
    pub fn join(
        domain: &'d Domain<'d, WORDS>,
        cpu: &PinnedCpu<'_>,
        tlb: &impl LocalTlb,
    ) -> Result<Self, LifeCycleError> {
        let state = LifeCycleError::check(domain, cpu.id())?;
        Domain::<WORDS>::clear_vector(state);
        domain.publish_online(cpu, state, Responder::Software, tlb);
        Ok(Self { domain, state })
    }

    /// Takes this CPU offline.
    ///
    /// From this call until it joins again, the CPU may use only memory whose translation does not change: nobody flushes
    /// it any more.
    pub fn leave(self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) {
        self.domain.publish_offline(cpu);
        Domain::<WORDS>::retire(cpu, self.state, tlb);
    }
}
