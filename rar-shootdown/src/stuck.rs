//! The report about a flush that does not end: who waits for whom, since when, and what was tried.

mod late_cpu;
mod operation_text;
mod text;

use core::time::Duration;

use rar_payload::Operation;
use rar_percpu::{CpuId, CpuSet, DEFAULT_WORDS, Domain, JoinEpoch, Posted, SlotIndex, Ticket};

pub use self::late_cpu::LateCpu;
use crate::machine::{Instant, Message, NotSent};
use crate::pending::Trail;

/// A flush that has not ended, as it can be seen from the CPU that waits for it.
///
/// [`Pending::stuck`](crate::Pending::stuck) makes it, and
/// [`Machine::report_stuck`](crate::Machine::report_stuck) gets one of each flush that did not end
/// in time. It allocates nothing, waits for no CPU and changes nothing. What it says of the late
/// CPUs is read while it is shown: a CPU that has flushed meanwhile is said to.
///
/// `Display` shows all of it in lines; late CPUs in a row with the same state share one. The
/// porting guide has an example.
#[derive(Clone, Copy)]
pub struct Stuck<'p, const WORDS: usize = DEFAULT_WORDS> {
    pub(crate) domain: &'p Domain<WORDS>,
    pub(crate) waiter: CpuId,
    pub(crate) late: &'p CpuSet<WORDS>,
    pub(crate) entries: Option<&'p Posted<'p, WORDS>>,
    pub(crate) since: JoinEpoch,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) trail: Option<Trail>,
    pub(crate) now: Instant,
}

/// One message that was sent for a flush, or should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Attempt {
    /// The message.
    pub message: Message,
    /// When it was sent last, in microseconds after the wait first looked at the clock. 0 for what
    /// was sent before: a flush reads the clock only if its targets do not answer at once.
    pub after_micros: u32,
    /// Whether it was sent, or why not.
    pub sent: Result<(), NotSent>,
}

impl<const WORDS: usize> Stuck<'_, WORDS> {
    /// Returns the CPU that waits.
    #[must_use]
    pub fn waiter(&self) -> CpuId {
        self.waiter
    }

    /// Returns how long the wait has lasted: since it first looked at the clock, a microsecond or
    /// two after the signal if the initiator waits at once.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let trail = self.trail.as_ref();
        Duration::from_nanos(trail.map_or(0, |trail| trail.nanoseconds_until(self.now)))
    }

    /// Returns the CPUs that had not flushed at the last look.
    #[must_use]
    pub fn cpus(&self) -> &CpuSet<WORDS> {
        self.late
    }

    /// Returns each of these CPUs with its state, in ascending order; the state is read when the
    /// iterator comes to it.
    pub fn late_cpus(&self) -> impl Iterator<Item = LateCpu> + '_ {
        self.late.iter().map(|cpu| LateCpu::read(self, cpu))
    }

    /// Returns the slots of the flush that are not answered or are in quarantine, each with the
    /// operation that the late CPUs were asked for. It is empty where no slot was used.
    pub fn operations(&self) -> impl Iterator<Item = (SlotIndex, Operation)> + '_ {
        self.entries.into_iter().flat_map(Posted::operations)
    }

    /// Returns the number of the full flush that the late CPUs were asked for, if they were.
    #[must_use]
    pub fn full_flush(&self) -> Option<Ticket> {
        self.ticket
    }

    /// Returns what was sent, in the order in which a flush escalates; of each message the last
    /// time.
    pub fn attempts(&self) -> impl Iterator<Item = Attempt> + '_ {
        use Message::{Interrupt, Nmi, SecondSignal, Signal};
        let messages = [Signal, SecondSignal, Interrupt, Nmi];
        messages.into_iter().filter_map(|message| {
            let noted = self.trail.and_then(|trail| trail.of(message));
            let before_the_clock = match message {
                Signal => self.entries.is_some(),
                Interrupt => self.ticket.is_some(),
                _ => false,
            };
            let (after_micros, sent) = noted.or(before_the_clock.then_some((0, Ok(()))))?;
            Some(Attempt {
                message,
                after_micros,
                sent,
            })
        })
    }
}

impl<const WORDS: usize> core::fmt::Debug for Stuck<'_, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stuck")
            .field("waiter", &self.waiter)
            .field("waited", &self.waited())
            .field("cpus", self.late)
            .finish_non_exhaustive()
    }
}
