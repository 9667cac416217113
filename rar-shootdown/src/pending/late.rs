//! A flush that did not end in time: its error, and the report about it.

use rar_percpu::{ActionByte, ActionState, Answer, CpuId, PinnedCpu};

use super::{Pending, Phase};
use crate::error::FlushError;
use crate::event::Event;
use crate::machine::{Instant, Machine};
use crate::statistics::Count;
use crate::stuck::Stuck;
use crate::timer::Timer;

impl<M: Machine<WORDS>, F, const WORDS: usize> Pending<'_, M, F, WORDS> {
    /// Returns who is late and why, as far as it can be seen at this moment from this CPU.
    ///
    /// For a flush that was not polled to its end: after an error of [`wait`](Self::wait), or in
    /// between. It reads the clock and what belongs to the late CPUs, and changes nothing.
    #[must_use]
    pub fn stuck(&self, cpu: &PinnedCpu<'_>) -> Stuck<'_, WORDS> {
        self.stuck_at(cpu, self.shootdown.machine().now())
    }

    fn stuck_at(&self, cpu: &PinnedCpu<'_>, now: Instant) -> Stuck<'_, WORDS> {
        Stuck {
            domain: self.shootdown.domain(),
            waiter: cpu.id(),
            late: self.unflushed(),
            entries: self.entries.as_ref(),
            since: self.since,
            ticket: self.ticket,
            trail: self.trail,
            now,
        }
    }

    #[cold]
    pub(super) fn give_up(&mut self, cpu: &PinnedCpu<'_>, now: Instant) -> FlushError {
        let shootdown = self.shootdown;
        let late = self.unflushed().len();
        let first = self.unflushed().first().unwrap_or(CpuId::new(0));
        let error = match self.not_sent {
            Some(cause) => FlushError::NotSent {
                cpu: first,
                late,
                cause,
            },
            None => FlushError::NoAnswer {
                cpu: first,
                late,
                entry: match self.entry_answer(first) {
                    Some(Answer::Open(slot, byte)) => Some((slot, byte)),
                    Some(Answer::Failure(slot)) => {
                        Some((slot, ActionByte(ActionState::Failure as u8)))
                    }
                    _ => None,
                },
            },
        };
        shootdown.count(cpu, Count::Errors, 1);
        // Before the slots are left: a refusal is forgotten with its slot.
        shootdown.report_stuck(&self.stuck_at(cpu, now));
        self.set_entries_apart();
        self.phase = Phase::Late;
        self.timer = Timer::default();
        self.not_sent = None;
        shootdown.report(Event::Error(error));
        error
    }

    /// The same for a flush that is late: what is set apart stays in view of reports.
    fn set_entries_apart(&mut self) {
        self.unflushed_apart();
        if let Some(entries) = &mut self.entries {
            for slot in entries.settle().iter() {
                self.shootdown.report(Event::Quarantine { slot });
            }
        }
    }
}
