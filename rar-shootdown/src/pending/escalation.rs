//! What becomes of a flush that is not answered at once: it is signalled again, then its targets
//! are asked for full flushes.

use core::task::Poll;

use rar_percpu::{Answer, CpuId, PinnedCpu, Responder, SlotIndex};

use super::{Pending, Phase, Trail};
use crate::error::FlushError;
use crate::event::Event;
use crate::machine::{Instant, Machine, Message, NotSent};
use crate::statistics::Count;
use crate::timer::Timer;

impl<M: Machine<WORDS>, F, const WORDS: usize> Pending<'_, M, F, WORDS> {
    #[cold]
    #[inline(never)]
    pub(super) fn poll_slowly(
        &mut self,
        cpu: &PinnedCpu<'_>,
        now: Option<Instant>,
    ) -> Poll<Result<(), FlushError>> {
        if self.phase == Phase::Unsupported {
            return Poll::Ready(Err(FlushError::Unsupported));
        }
        if self.look_closely() || self.forget_who_flushed_otherwise(cpu) {
            return Poll::Ready(Ok(()));
        }
        let policy = self.shootdown.policy();
        let limit = match self.phase {
            Phase::Entries { .. } => policy.answer_timeout,
            _ => policy.fallback_timeout,
        };
        let now = now.unwrap_or_else(|| self.shootdown.machine().now());
        self.trail
            .get_or_insert_with(|| Trail::begin(now))
            .look(now);
        let is_late = self.timer.is_past(now, limit);
        let is_over =
            is_late || matches!(self.phase, Phase::Entries { .. }) && self.is_signal_over();
        if is_over || self.not_sent.is_some() {
            // What was answered while this CPU read the clock, or was not run, is no failure.
            if self.forget_who_flushed_otherwise(cpu) || self.look_closely() {
                return Poll::Ready(Ok(()));
            }
        }
        match self.phase {
            Phase::Entries { .. } if is_over => self.fall_back(cpu),
            Phase::Entries { resignalled: false } => self.signal_again(cpu),
            Phase::Late => self.fall_back(cpu),
            Phase::Generation { again: false } if self.is_half_over() => self.escalate(cpu),
            Phase::Generation { again: true } if is_late || self.not_sent.is_some() => {
                return Poll::Ready(Err(self.give_up(cpu, now)));
            }
            _ => {}
        }
        // Else an end by other means than an entry has to be seen soon.
        if matches!(self.phase, Phase::Entries { .. }) && self.not_sent.is_none() {
            self.timer.allow_skips(limit);
        }
        Poll::Pending
    }

    /// Whether nothing more can come of the signal: it was not sent, or each target that is left
    /// has answered FAILURE.
    ///
    /// A SUCCESS that arrived since the last look still comes of it: the next look sees it.
    fn is_signal_over(&self) -> bool {
        let may_succeed = |cpu| {
            matches!(
                self.entry_answer(cpu),
                Some(Answer::Open(..) | Answer::Success)
            )
        };
        self.not_sent.is_some() || !self.unflushed().iter().any(may_succeed)
    }

    fn is_half_over(&self) -> bool {
        let limit = self.shootdown.policy().fallback_timeout;
        self.not_sent.is_some() || self.timer.was_half_past(limit)
    }

    fn signal_again(&mut self, cpu: &PinnedCpu<'_>) {
        let after = self.shootdown.policy().resignal_after;
        if !after.is_some_and(|after| self.timer.was_past(after)) {
            return;
        }
        self.phase = Phase::Entries { resignalled: true };
        let mut silent = *self.unflushed();
        // Where a target waits for the flush of another CPU, that target is left to the fallback: a
        // unit may answer its own CPU's signal by SUCCESS and flush nothing (facts: unresolved).
        silent.remove(cpu.id());
        silent.retain(|cpu| matches!(self.entry_answer(cpu), Some(Answer::Open(..))));
        if let Some(first) = silent.first() {
            self.shootdown.count(cpu, Count::Resignals, 1);
            self.shootdown.report(Event::SecondSignal {
                cpu: first,
                count: silent.len(),
            });
            self.send(Message::SecondSignal, cpu, &silent);
        }
    }

    /// Asks all that have not flushed for a full flush, unless the only ones left were asked at the
    /// start.
    fn fall_back(&mut self, cpu: &PinnedCpu<'_>) {
        let shootdown = self.shootdown;
        let anew = self.phase == Phase::Late || self.not_sent.is_some();
        self.phase = Phase::Generation { again: false };
        self.timer = Timer::default();
        self.not_sent = None;
        for (target, slot) in self.failures() {
            shootdown.count(cpu, Count::Failures, 1);
            shootdown.report(Event::Failure { cpu: target, slot });
        }
        let unanswered = self
            .unflushed()
            .iter()
            .filter(|cpu| anew || self.entry_answer(*cpu).is_some());
        let (first, unanswered) = unanswered.fold((None, 0), |(first, count), cpu| {
            (first.or(Some(cpu)), count + 1)
        });
        let Some(first) = first else {
            return;
        };
        shootdown.count(cpu, Count::Fallbacks, unanswered);
        shootdown.report(Event::Fallback {
            cpu: first,
            count: unanswered,
        });
        let targets = *self.unflushed();
        self.request_full_flush(cpu, &targets);
    }

    fn failures(&self) -> impl Iterator<Item = (CpuId, SlotIndex)> + '_ {
        self.unflushed()
            .iter()
            .filter_map(|cpu| match self.entry_answer(cpu) {
                Some(Answer::Failure(slot)) => Some((cpu, slot)),
                _ => None,
            })
    }

    /// Sends NMIs, or interrupts once more where the machine has none.
    fn escalate(&mut self, cpu: &PinnedCpu<'_>) {
        let shootdown = self.shootdown;
        self.phase = Phase::Generation { again: true };
        let targets = *self.unflushed();
        self.not_sent = None;
        let sent = shootdown
            .machine()
            .send(Message::Nmi, cpu, shootdown.domain(), &targets);
        self.note(Message::Nmi, sent);
        match sent {
            Ok(()) => {
                shootdown.count(cpu, Count::Nmis, 1);
                if let Some(first) = targets.first() {
                    shootdown.report(Event::Nmi {
                        cpu: first,
                        count: targets.len(),
                    });
                }
            }
            Err(NotSent::Unsupported) => self.send(Message::Interrupt, cpu, &targets),
            Err(cause) => self.note_not_sent(cpu, Message::Nmi, cause),
        }
    }

    /// Removes the targets that have flushed by other means than their entry, and returns whether
    /// none is left. One whose entry is still open after it has served the request is alive with a
    /// silent unit: it is demoted.
    fn forget_who_flushed_otherwise(&mut self, cpu: &PinnedCpu<'_>) -> bool {
        let mut flushed = *self.unflushed();
        flushed.retain(|cpu| self.has_flushed_otherwise(cpu));
        if !flushed.is_empty() {
            for target in flushed.iter() {
                self.demote_if_silent(cpu, target);
            }
            self.unflushed_apart().subtract(&flushed);
        }
        self.unflushed().is_empty()
    }

    fn demote_if_silent(&self, cpu: &PinnedCpu<'_>, target: CpuId) {
        let (shootdown, domain) = (self.shootdown, self.shootdown.domain());
        let is_silent = matches!(self.phase, Phase::Generation { .. })
            && matches!(self.entry_answer(target), Some(Answer::Open(..)))
            && domain
                .cpu(target)
                .is_some_and(|state| state.responder() == Responder::Microcode)
            && !domain.needs_no_answer(target, self.since);
        if is_silent && domain.demote(target) {
            shootdown.count(cpu, Count::Demotions, 1);
            shootdown.report(Event::Demotion { cpu: target });
        }
    }

    /// Whether a CPU has done a full flush since the page-table stores, or is gone.
    pub(super) fn has_flushed_otherwise(&self, cpu: CpuId) -> bool {
        let domain = self.shootdown.domain();
        domain.needs_no_answer(cpu, self.since)
            || self
                .ticket
                .is_some_and(|ticket| domain.is_flushed(cpu, ticket))
    }

    /// What a CPU has answered to its entries; `None` if it has none that are open.
    pub(super) fn entry_answer(&self, cpu: CpuId) -> Option<Answer> {
        let entries = self.entries.as_ref();
        let entries = entries.filter(|entries| !entries.is_left())?;
        entries.open().contains(cpu).then(|| entries.answer(cpu))
    }
}
