//! The right to drive one CPU.

use crate::cpu_id::{CpuId, PinnedCpu};
use crate::domain::Domain;
use crate::life_cycle_error::LifeCycleError;
use crate::per_cpu::PerCpu;

/// The right to bring one CPU up and down: one value has it at a time.
///
/// Dropped while the CPU is offline it is given back; dropped while it is online it stays taken, and the CPU online.
#[derive(Debug)]
pub(crate) struct Claim<'d> {
    pub(crate) state: &'d PerCpu,
    cpu: CpuId,
}

impl<'d> Claim<'d> {
    pub(crate) fn new<const WORDS: usize>(
        domain: &'d Domain<'d, WORDS>,
        cpu: &PinnedCpu<'_>,
    ) -> Result<Self, LifeCycleError> {
        let cpu = cpu.id();
        let state = domain.cpu(cpu).filter(|state| state.apic_id().is_some());
        let state = state.ok_or(LifeCycleError::NotRegistered(cpu))?;
        if state.claim() {
            Ok(Self { state, cpu })
        } else {
            Err(LifeCycleError::Taken(cpu))
        }
    }

    /// Refuses a step that is taken on another CPU.
    pub(crate) fn check(&self, cpu: &PinnedCpu<'_>) -> Result<(), LifeCycleError> {
        if cpu.id() == self.cpu {
            Ok(())
        } else {
            Err(LifeCycleError::WrongCpu {
                driven: self.cpu,
                cpu: cpu.id(),
            })
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.state.give_back();
    }
}
