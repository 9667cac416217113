//! The right to drive one CPU, and the two ends of its time online.

use crate::cpu_id::{CpuId, PinnedCpu};
use crate::domain::Domain;
use crate::life_cycle_error::LifeCycleError;
use crate::local_tlb::LocalTlb;
use crate::per_cpu::{Life, PerCpu, Responder};
use crate::sync::{Ordering, fence};

/// The right to bring one CPU up and down: one value has it at a time.
///
/// Dropped while the CPU is offline it is given back; dropped while it is online it stays taken,
/// and the CPU online.
#[derive(Debug)]
pub(crate) struct Claim<'d, const WORDS: usize> {
    pub(crate) domain: &'d Domain<WORDS>,
    pub(crate) state: &'static PerCpu,
    cpu: CpuId,
    life: Life,
}

impl<'d, const WORDS: usize> Claim<'d, WORDS> {
    pub(crate) fn new(
        domain: &'d Domain<WORDS>,
        cpu: &PinnedCpu<'_>,
    ) -> Result<Self, LifeCycleError> {
        let cpu = cpu.id();
        let registered = || domain.cpu(cpu).filter(|state| state.apic_id().is_some());
        let state = registered().ok_or(LifeCycleError::NotRegistered(cpu))?;
        let life = state.claim().ok_or(LifeCycleError::Taken(cpu))?;
        let claim = Self {
            domain,
            state,
            cpu,
            life,
        };
        // The number may have been taken since the look. From the claim on it is not: who takes it
        // needs the right that this value has.
        match registered() {
            Some(now) if core::ptr::eq(now, state) => Ok(claim),
            _ => Err(LifeCycleError::NotRegistered(cpu)),
        }
    }

    /// Refuses a step that is taken on another CPU, or for one that was declared dead.
    pub(crate) fn check(&self, cpu: &PinnedCpu<'_>) -> Result<(), LifeCycleError> {
        if cpu.id() != self.cpu {
            return Err(LifeCycleError::WrongCpu {
                driven: self.cpu,
                cpu: cpu.id(),
            });
        }
        if !self.state.is_life(self.life) {
            return Err(LifeCycleError::Dead(self.cpu));
        }
        Ok(())
    }

    /// Flushes, publishes the CPU as online, and flushes again.
    ///
    /// The first flush drops what the CPU had before, so that it may be targeted. What it caches
    /// between that flush and the publication nothing would flush, hence the second: publish,
    /// fence, then flush.
    pub(crate) fn publish_online(
        &self,
        cpu: &PinnedCpu<'_>,
        responder: Responder,
        tlb: &(impl LocalTlb + ?Sized),
    ) {
        let (domain, state) = (self.domain, self.state);
        tlb.flush_everything(cpu);
        // The flushes here make up for those that skipped this CPU before it went.
        state.generation().clear_modes();
        domain.promote(state);
        domain.note_responder(responder);
        state.set_responder(self.life, responder);
        fence(Ordering::SeqCst);
        // A CPU beyond the set cannot have registered.
        let _registered = domain.online_set().insert(cpu.id());
        let join = domain.count_join();
        fence(Ordering::SeqCst);
        tlb.flush_everything(cpu);
        // Release: the flush. Partner: `needs_no_answer`.
        state.joined().store(join, Ordering::Release);
    }

    /// From now on software answers for the CPU, which stays online. Only with RAR disabled here,
    /// and while no initiator arms the vector.
    pub(crate) fn answer_in_software(&self) {
        self.domain.note_responder(Responder::Software);
        self.state.set_responder(self.life, Responder::Software);
        self.domain.promote(self.state);
        fence(Ordering::SeqCst);
    }

    /// Takes the CPU out of the online set. Its responder goes on until [`Self::retire`].
    pub(crate) fn publish_offline(&self) {
        self.domain.online_set().take_out(self.cpu);
        fence(Ordering::SeqCst);
    }

    /// Ends the CPU's part after [`Self::publish_offline`]. Only with RAR disabled here.
    pub(crate) fn retire(&self, cpu: &PinnedCpu<'_>, tlb: &(impl LocalTlb + ?Sized)) {
        self.domain.answer_by_one_flush(cpu, self.state, tlb);
        // Release: the flush. Partner: `needs_no_answer`.
        self.state.set_claimed(self.life);
        // Partner: the fence between a demotion and its second look at the CPU.
        fence(Ordering::SeqCst);
        self.domain.promote(self.state);
    }
}

impl<const WORDS: usize> Drop for Claim<'_, WORDS> {
    fn drop(&mut self) {
        self.state.give_back(self.life);
    }
}
