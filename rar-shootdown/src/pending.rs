//! A flush in flight, and how its end is awaited.

use rar_percpu::{ActionByte, ActionState, CpuId, CpuSet, Epoch, PerCpu, PinnedCpu, SlotIndex};

use crate::batch::Batch;
use crate::error::{FlushError, WaitError};
use crate::events;
use crate::machine::{Machine, Ticks};
use crate::shootdown::Shootdown;
use crate::statistics::count;

/// A flush in flight. It owns what must not be freed before the end.
///
/// Only [`wait`](Self::wait) gives that back. Dropping the value leaks it, and sets the slots apart: that is safe, and a
/// waste.
#[must_use = "the flush has not ended; wait for it"]
pub struct Pending<'s, M: Machine, F, const WORDS: usize> {
    shootdown: &'s Shootdown<'s, M, WORDS>,
    cpu: &'s PinnedCpu<'s>,
    batch: Batch,
    /// Who has not answered as far as we know.
    targets: CpuSet<WORDS>,
    /// Whether the targets were asked by generation.
    asked: bool,
    since: Epoch,
    started: Ticks,
    owned: Option<F>,
}

/// How a target's part of one slot ended.
enum Answer {
    /// Flushed by this request or by a way back online, or gone offline.
    Flushed,
    /// Refused.
    Failed,
    /// Not final in time.
    Late,
}

impl<'s, M: Machine, F, const WORDS: usize> Pending<'s, M, F, WORDS> {
    pub(crate) fn new(
        shootdown: &'s Shootdown<'s, M, WORDS>,
        cpu: &'s PinnedCpu<'s>,
        batch: Batch,
        targets: CpuSet<WORDS>,
        since: Epoch,
        owned: F,
    ) -> Self {
        let asked = !batch.has_slots();
        let started = shootdown.machine.now();
        Self {
            shootdown,
            cpu,
            batch,
            targets,
            asked,
            since,
            started,
            owned: Some(owned),
        }
    }

    /// Waits until every target has flushed, and gives back what the flush owned.
    ///
    /// A target that does not answer the signal in time, or answers FAILURE, is asked for a full flush by the fallback. While it
    /// waits, this CPU serves what others ask of it. On the deadlocks that holding a lock can make, see [`Shootdown::start`].
    ///
    /// # Errors
    ///
    /// [`WaitError`] when a target answers neither: it names CPU, slot and byte, and gives the flush back, still owning. Slots
    /// with a byte that is not final are in quarantine. Waiting again asks the late CPUs once more.
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the flush back, and nothing here allocates"
    )]
    pub fn wait(mut self) -> Result<F, WaitError<'s, M, F, WORDS>> {
        let armed = self.targets;
        let unanswered = if self.batch.has_slots() {
            self.await_bytes()
        } else {
            self.targets
        };
        let late = if unanswered.is_empty() {
            unanswered
        } else {
            self.await_generation(unanswered)
        };
        let error = late.iter().next().map(|cpu| FlushError::NoAnswer {
            cpu,
            late: late.len(),
            entry: self.open_entry(cpu),
        });
        self.let_go_of_slots(&armed);
        self.targets = late;
        match (error, self.owned.take()) {
            (None, Some(owned)) => Ok(owned),
            (error, owned) => {
                self.owned = owned;
                self.asked = false;
                count(&self.shootdown.counters.errors, 1);
                // `owned` is there until this function has given it back, which consumes the value.
                let error = error.unwrap_or(FlushError::NoAnswer {
                    cpu: self.cpu.id(),
                    late: 0,
                    entry: None,
                });
                events::no_answer(&error);
                Err(WaitError {
                    error,
                    pending: self,
                })
            }
        }
    }

    /// Waits for the bytes of all targets and returns the CPUs that must be asked by the fallback.
    fn await_bytes(&self) -> CpuSet<WORDS> {
        let mut unanswered = CpuSet::new();
        let mut resignal = self.shootdown.policy.resignal;
        for (target, state) in self.states(&self.targets) {
            for slot in self.batch.slots() {
                let answer = self.await_byte(target, state, slot, &mut resignal);
                if matches!(answer, Answer::Failed) {
                    count(&self.shootdown.counters.failures, 1);
                    events::failure(target, slot);
                }
                if !matches!(answer, Answer::Flushed) {
                    // It was a member of a set of this size.
                    let _fits = unanswered.insert(target);
                }
            }
        }
        unanswered
    }

    fn await_byte(
        &self,
        target: CpuId,
        state: &PerCpu,
        slot: SlotIndex,
        resignal: &mut Option<u64>,
    ) -> Answer {
        let shootdown = self.shootdown;
        loop {
            match state.vector().load(slot).state() {
                Ok(ActionState::Success) => return Answer::Flushed,
                Ok(ActionState::Failure) => return Answer::Failed,
                Ok(ActionState::Pending) | Err(_) => {}
            }
            if shootdown.domain.has_left(target, self.since) {
                return Answer::Flushed;
            }
            let now = shootdown.machine.now();
            if now.is_past(self.started, shootdown.policy.answer) {
                return Answer::Late;
            }
            if resignal
                .take_if(|after| now.is_past(self.started, *after))
                .is_some()
            {
                count(&shootdown.counters.resignals, 1);
                events::resignal(target);
                shootdown.machine.signal(self.cpu, &self.silent_targets());
            }
            shootdown.idle(self.cpu);
        }
    }

    /// The targets that have not made every byte of this flush final.
    fn silent_targets(&self) -> CpuSet<WORDS> {
        let mut silent = self.targets;
        for (target, state) in self.states(&self.targets) {
            if self
                .batch
                .slots()
                .all(|slot| state.vector().load(slot).is_final())
            {
                silent.remove(target);
            }
        }
        silent
    }

    /// Waits for a full flush of each CPU, asking for it unless that was done, and returns those that are still late.
    fn await_generation(&self, mut late: CpuSet<WORDS>) -> CpuSet<WORDS> {
        let shootdown = self.shootdown;
        if !self.asked {
            count(&shootdown.counters.fallbacks, late.len());
            events::fallback(&late);
            shootdown.ask_by_generation(self.cpu, &late);
        }
        let started = shootdown.machine.now();
        let mut again = true;
        for (target, state) in self.states(&late.clone()) {
            // The newest request is ours or a later one: either is a flush that begins after our page-table stores.
            let ticket = state.generation().newest();
            loop {
                let flushed = state.generation().is_completed(ticket)
                    || shootdown.domain.has_left(target, self.since)
                    || self.all_succeeded(state);
                if flushed {
                    late.remove(target);
                    break;
                }
                let now = shootdown.machine.now();
                if now.is_past(started, shootdown.policy.fallback) {
                    break;
                }
                if again && now.is_past(started, shootdown.policy.fallback / 2) {
                    // The newest request may be that of another initiator who has not come to its interrupt.
                    again = false;
                    shootdown.machine.interrupt(self.cpu, &late);
                }
                shootdown.idle(self.cpu);
            }
        }
        late
    }

    /// Whether the CPU has carried out every entry of this flush after all; never without entries.
    fn all_succeeded(&self, state: &PerCpu) -> bool {
        self.batch.has_slots()
            && self
                .batch
                .slots()
                .all(|slot| state.vector().load(slot).state() == Ok(ActionState::Success))
    }

    /// A slot whose byte the CPU has not made final, or refused.
    fn open_entry(&self, cpu: CpuId) -> Option<(SlotIndex, ActionByte)> {
        let state = self.shootdown.domain.cpu(cpu)?;
        let mut entries = self
            .batch
            .slots()
            .map(|slot| (slot, state.vector().load(slot)));
        entries.find(|(_, byte)| byte.state() != Ok(ActionState::Success))
    }

    /// Gives the slots back, those whose every byte among `armed` is final; sets the others apart.
    fn let_go_of_slots(&mut self, armed: &CpuSet<WORDS>) {
        let (shootdown, cpu) = (self.shootdown, self.cpu);
        for slot in self.batch.take_slots() {
            let mut states = armed
                .iter()
                .filter_map(|target| shootdown.domain.cpu(target));
            let settled = states.all(|state| state.vector().load(slot).is_final());
            shootdown.let_go(cpu, slot, settled);
        }
    }

    fn states<'a>(
        &self,
        cpus: &'a CpuSet<WORDS>,
    ) -> impl Iterator<Item = (CpuId, &'s PerCpu)> + use<'a, 's, M, F, WORDS> {
        let domain = self.shootdown.domain;
        cpus.iter()
            .filter_map(move |cpu| domain.cpu(cpu).map(|state| (cpu, state)))
    }
}

impl<M: Machine, F, const WORDS: usize> Drop for Pending<'_, M, F, WORDS> {
    fn drop(&mut self) {
        let armed = self.targets;
        self.let_go_of_slots(&armed);
        // Not freed: some CPU may still use it.
        core::mem::forget(self.owned.take());
    }
}

impl<M: Machine, F, const WORDS: usize> core::fmt::Debug for Pending<'_, M, F, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pending")
            .field("cpu", &self.cpu.id())
            .field("batch", &self.batch)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}
