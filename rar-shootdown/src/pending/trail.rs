//! What was done for a flush that was not answered at once, and when.

use rar_percpu::CpuId;

use crate::machine::{Instant, Message, NotSent};

/// The trail of one flush, begun at its first look at the clock. It is small, since every flush has
/// room for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trail {
    began: Instant,
    last: Instant,
    /// Of each message but the first, which is before the clock, when it was sent last, in
    /// microseconds after the beginning.
    after: [u32; 3],
    /// The last target that could not be addressed.
    unreachable: CpuId,
    /// Of each message, what became of it the last time.
    outcomes: [Outcome; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Never,
    Sent,
    Unsupported,
    Busy,
    Unreachable,
}

impl Trail {
    pub(crate) fn begin(now: Instant) -> Self {
        Self {
            began: now,
            last: now,
            after: [0; 3],
            unreachable: CpuId::new(0),
            outcomes: [Outcome::Never; 4],
        }
    }

    /// Notes the time of one more look.
    pub(crate) fn look(&mut self, now: Instant) {
        self.last = now;
    }

    /// Returns the nanoseconds between the beginning and a moment: 0 on a clock that goes back.
    pub(crate) fn nanoseconds_until(&self, now: Instant) -> u64 {
        now.as_nanos().saturating_sub(self.began.as_nanos())
    }

    /// Notes a message at the time of the last look.
    pub(crate) fn note(&mut self, message: Message, result: Result<(), NotSent>) {
        let after = u32::try_from(self.nanoseconds_until(self.last) / 1_000).unwrap_or(u32::MAX);
        if let Some(at) = time_of(message).and_then(|place| self.after.get_mut(place)) {
            *at = after;
        }
        if let Some(outcome) = self.outcomes.get_mut(message as usize) {
            *outcome = match result {
                Ok(()) => Outcome::Sent,
                Err(NotSent::Unsupported) => Outcome::Unsupported,
                Err(NotSent::Busy) => Outcome::Busy,
                Err(NotSent::Unreachable(cpu)) => {
                    self.unreachable = cpu;
                    Outcome::Unreachable
                }
            };
        }
    }

    /// Returns what became of a message the last time: after how many microseconds, and why it was
    /// not sent; `None` if it was never tried.
    pub(crate) fn of(&self, message: Message) -> Option<(u32, Result<(), NotSent>)> {
        let after = time_of(message).and_then(|place| self.after.get(place));
        let sent = match self.outcomes.get(message as usize)? {
            Outcome::Never => return None,
            Outcome::Sent => Ok(()),
            Outcome::Unsupported => Err(NotSent::Unsupported),
            Outcome::Busy => Err(NotSent::Busy),
            Outcome::Unreachable => Err(NotSent::Unreachable(self.unreachable)),
        };
        Some((after.copied().unwrap_or(0), sent))
    }
}

fn time_of(message: Message) -> Option<usize> {
    (message as usize).checked_sub(1)
}
