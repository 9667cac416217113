//! A flush that did not end in time: its error.

use rar_percpu::{ActionByte, ActionState, Answer, CpuId, PinnedCpu};

use super::{Pending, Phase};
use crate::error::FlushError;
use crate::event::Event;
use crate::machine::Machine;
use crate::statistics::Count;
use crate::timer::Timer;

impl<M: Machine<WORDS>, F, const WORDS: usize> Pending<'_, M, F, WORDS> {
    #[cold]
    pub(super) fn give_up(&mut self, cpu: &PinnedCpu<'_>) -> FlushError {
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
        self.unflushed_apart();
        self.settle_entries();
        self.phase = Phase::Late;
        self.timer = Timer::default();
        self.not_sent = None;
        shootdown.count(cpu, Count::Errors, 1);
        shootdown.report(Event::Error(error));
        error
    }
}
