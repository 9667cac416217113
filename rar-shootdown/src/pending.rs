//! A flush in flight, and how its end is awaited.

mod count;
mod escalation;
mod late;
mod poll;
mod trail;

use core::task::Poll;

use rar_percpu::{Answer, CpuSet, JoinEpoch, PinnedCpu, Posted, Progress, Ticket};

use crate::error::{FlushError, WaitError};
use crate::event::Event;
use crate::machine::{Machine, Message, NotSent};
use crate::shootdown::Shootdown;
use crate::statistics::Count;
use crate::timer::Timer;

pub(crate) use self::trail::Trail;

/// A flush in flight. It owns what must not be freed before the end.
///
/// Only its end gives that back: [`wait`](Self::wait) or [`try_wait`](Self::try_wait). The flush
/// goes on by itself, and borrows no CPU: it can be kept in a queue, sent to another CPU, and
/// finished there. Dropping it leaks what it owns, and sets the slots apart that are not answered:
/// that is safe, and a waste.
#[must_use = "the flush has not ended; wait for it"]
pub struct Pending<'s, M: Machine<WORDS>, F, const WORDS: usize> {
    shootdown: &'s Shootdown<M, WORDS>,
    entries: Option<Posted<'s, WORDS>>,
    /// The targets that are not known to have flushed; `None` while they are those that have not
    /// answered the entries.
    unflushed: Option<CpuSet<WORDS>>,
    since: JoinEpoch,
    /// The newest request of full flushes: all that are unflushed in [`Phase::Generation`], else
    /// those that have no entry.
    ticket: Option<Ticket>,
    phase: Phase,
    timer: Timer,
    not_sent: Option<NotSent>,
    /// Begun where the clock is read.
    trail: Option<Trail>,
    owned: Option<F>,
}

/// How often the targets are looked at before this CPU reads the clock and serves others: a
/// microsecond or two, in which most units answer.
pub(crate) const CLEAN_LOOKS: u32 = if cfg!(rar_loom) { 0 } else { 32 };

/// How far a flush has escalated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The targets were signalled, once or twice.
    Entries { resignalled: bool },
    /// They were asked for a full flush, by interrupt, and then by NMI.
    Generation { again: bool },
    /// They were late; the next look asks them anew.
    Late,
    /// The local TLB cannot drop what was asked for; nothing was sent.
    Unsupported,
}

impl<'s, M: Machine<WORDS>, F, const WORDS: usize> Pending<'s, M, F, WORDS> {
    /// Returns the flush that has no target but its initiator.
    #[inline]
    pub(crate) fn of_nobody(
        shootdown: &'s Shootdown<M, WORDS>,
        since: JoinEpoch,
        owned: F,
    ) -> Self {
        Self {
            shootdown,
            entries: None,
            unflushed: None,
            since,
            ticket: None,
            phase: Phase::Generation { again: false },
            timer: Timer::default(),
            not_sent: None,
            trail: None,
            owned: Some(owned),
        }
    }

    /// Returns the flush whose targets were armed with entries and signalled.
    #[inline]
    pub(crate) fn of_entries(
        cpu: &PinnedCpu<'_>,
        shootdown: &'s Shootdown<M, WORDS>,
        since: JoinEpoch,
        entries: Posted<'s, WORDS>,
        sent: Result<(), NotSent>,
        owned: F,
    ) -> Self {
        let mut pending = Self::of_nobody(shootdown, since, owned);
        pending.hold(entries);
        if let Err(cause) = sent {
            pending.note_not_sent(cpu, Message::Signal, cause);
        }
        pending
    }

    /// The local TLB cannot drop what was asked for.
    pub(crate) fn set_unsupported(&mut self) {
        self.phase = Phase::Unsupported;
    }

    /// Returns the moment when the flush began.
    pub(crate) fn since(&self) -> JoinEpoch {
        self.since
    }

    /// Signals the CPUs that were armed with the entries.
    pub(crate) fn signal(&mut self, cpu: &PinnedCpu<'_>, entries: Posted<'s, WORDS>) {
        let targets = *entries.open();
        self.hold(entries);
        self.send(Message::Signal, cpu, &targets);
    }

    /// The first step of a flush: it has no other targets yet.
    #[inline]
    fn hold(&mut self, entries: Posted<'s, WORDS>) {
        self.phase = Phase::Entries { resignalled: false };
        self.entries = Some(entries);
    }

    /// Asks the CPUs for a full flush, besides what was posted.
    pub(crate) fn request_full_flush(&mut self, cpu: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        self.unflushed_apart().union_with(targets);
        self.ticket = Some(self.shootdown.domain().request_full_flush(targets));
        self.send(Message::Interrupt, cpu, targets);
    }

    /// Returns whether every target has flushed, without doing anything about it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase != Phase::Unsupported
            && self.unflushed().iter().all(|cpu| {
                self.has_flushed_otherwise(cpu) || self.entry_answer(cpu) == Some(Answer::Success)
            })
    }

    /// Gives back what the flush owned if every target has flushed, and itself otherwise; never
    /// waits.
    ///
    /// It escalates as [`poll`](Self::poll) does. A flush that is late reports [`Event::Error`],
    /// and stays in flight.
    ///
    /// # Errors
    ///
    /// The flush, which has not ended.
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the flush back, and nothing here allocates"
    )]
    pub fn try_wait(mut self, cpu: &PinnedCpu<'_>) -> Result<F, Self> {
        match self.poll(cpu) {
            Poll::Ready(Ok(())) => {
                self.count_end(cpu);
                self.take_owned().ok_or(self)
            }
            Poll::Ready(Err(_)) | Poll::Pending => Err(self),
        }
    }

    /// Waits until every target has flushed, and gives back what the flush owned.
    ///
    /// A target that does not answer the signal in time is signalled again, then asked for a full
    /// flush by an ordinary interrupt, then by an NMI if the machine offers one. A target that
    /// answers FAILURE is asked for a full flush. While it waits, this CPU serves what others ask
    /// of it. On the deadlocks that holding a lock can make, see [`Shootdown::start`].
    ///
    /// # Errors
    ///
    /// [`WaitError`] when a target answers none of them: it names CPU, slot and byte, and gives the
    /// flush back, still owning. Slots with a byte that is not final are in quarantine. Waiting
    /// again asks the late CPUs once more.
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the flush back, and nothing here allocates"
    )]
    pub fn wait(mut self, cpu: &PinnedCpu<'_>) -> Result<F, WaitError<'s, M, F, WORDS>> {
        match self.await_end(cpu) {
            Ok(()) => match self.take_owned() {
                Some(owned) => Ok(owned),
                None => Err(WaitError {
                    error: FlushError::Unsupported,
                    pending: self,
                }),
            },
            Err(error) => Err(WaitError {
                error,
                pending: self,
            }),
        }
    }

    /// Waits, and keeps what the flush owns.
    pub(crate) fn await_end(&mut self, cpu: &PinnedCpu<'_>) -> Result<(), FlushError> {
        let machine = self.shootdown.machine();
        if let Some(entries) = self.ordinary_entries() {
            for _ in 0..CLEAN_LOOKS {
                if entries.look_on() == Progress::Succeeded {
                    self.count_end(cpu);
                    return Ok(());
                }
                machine.relax();
            }
        }
        self.await_late(cpu)
    }

    /// The same for targets that were looked at in vain: reads the clock, and serves others.
    pub(crate) fn await_late(&mut self, cpu: &PinnedCpu<'_>) -> Result<(), FlushError> {
        loop {
            match self.poll(cpu) {
                Poll::Ready(Ok(())) => break,
                Poll::Ready(late) => return late,
                Poll::Pending => self.shootdown.idle(cpu),
            }
        }
        self.count_end(cpu);
        Ok(())
    }

    /// Waits for several flushes: they all go on at the same time, so the wait is as long as that
    /// for the slowest.
    ///
    /// # Errors
    ///
    /// Each as [`wait`](Self::wait); one that is late keeps none of the others from ending.
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the flush back, and nothing here allocates"
    )]
    pub fn wait_all<const N: usize>(
        flushes: [Self; N],
        cpu: &PinnedCpu<'_>,
    ) -> [Result<F, WaitError<'s, M, F, WORDS>>; N] {
        flushes.map(|flush| flush.wait(cpu))
    }

    /// Waits where no caller can handle an error, as in `Drop`: leaks what the flush owns if a
    /// target stays silent.
    ///
    /// The wait is bounded as that of [`wait`](Self::wait). After it, [`Event::Leaked`] is reported
    /// and `None` returned: no frame is freed too early, but the silent CPU may go on using stale
    /// translations. A kernel that cannot live with that panics in [`Machine::report`].
    pub fn wait_or_leak(self, cpu: &PinnedCpu<'_>) -> Option<F> {
        let shootdown = self.shootdown;
        self.wait(cpu)
            .map_err(|late| shootdown.report(Event::Leaked(late.error)))
            .ok()
    }

    /// Returns the targets that are not known to have flushed.
    fn unflushed(&self) -> &CpuSet<WORDS> {
        match (&self.unflushed, &self.entries) {
            (Some(apart), _) => apart,
            (None, Some(entries)) => entries.open(),
            (None, None) => const { &CpuSet::new() },
        }
    }

    /// Returns the same as a set of its own, since some end in another way than by their entries.
    fn unflushed_apart(&mut self) -> &mut CpuSet<WORDS> {
        let entries = &self.entries;
        self.unflushed.get_or_insert_with(|| {
            entries
                .as_ref()
                .map_or(CpuSet::new(), |entries| *entries.open())
        })
    }

    /// Returns the entries if every target that is left has them, and none has ended otherwise.
    #[inline]
    fn ordinary_entries(&mut self) -> Option<&mut Posted<'s, WORDS>> {
        match self.unflushed {
            None => self.entries.as_mut(),
            Some(_) => None,
        }
    }

    /// Looks at the entries, then at what the others have flushed; returns whether every target has
    /// flushed.
    fn look_closely(&mut self) -> bool {
        let entries = self.entries.as_mut();
        let Some(entries) = entries.filter(|entries| !entries.is_left()) else {
            return self.unflushed().is_empty() && self.phase != Phase::Unsupported;
        };
        let mut answered = *entries.open();
        entries.look();
        answered.subtract(entries.open());
        if let Some(unflushed) = &mut self.unflushed {
            unflushed.subtract(&answered);
        }
        self.unflushed().is_empty()
    }

    fn send(&mut self, message: Message, cpu: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        let shootdown = self.shootdown;
        let sent = shootdown
            .machine()
            .send(message, cpu, shootdown.domain(), targets);
        self.note(message, sent);
        if let Err(cause) = sent {
            self.note_not_sent(cpu, message, cause);
        }
    }

    fn note(&mut self, message: Message, sent: Result<(), NotSent>) {
        if let Some(trail) = &mut self.trail {
            trail.note(message, sent);
        }
    }

    #[cold]
    fn note_not_sent(&mut self, cpu: &PinnedCpu<'_>, message: Message, cause: NotSent) {
        let shootdown = self.shootdown;
        shootdown.count(cpu, Count::Unsent, 1);
        shootdown.report(Event::NotSent { message, cause });
        self.not_sent = Some(cause);
        self.timer.forbid_skips();
        let trail = &mut self.trail;
        let trail = trail.get_or_insert_with(|| Trail::begin(shootdown.machine().now()));
        trail.note(message, Err(cause));
    }

    /// Gives the slots back, or sets them apart. Only when no target is left, or those that are
    /// left are a set of their own.
    #[inline]
    fn settle_entries(&mut self) {
        if let Some(entries) = &mut self.entries {
            for slot in entries.settle().iter() {
                self.shootdown.report(Event::Quarantine { slot });
            }
            self.entries = None;
        }
    }

    /// Gives back what the flush owned. Only after every target has flushed.
    #[inline]
    fn take_owned(&mut self) -> Option<F> {
        self.settle_entries();
        self.owned.take()
    }
}

impl<M: Machine<WORDS>, F, const WORDS: usize> Drop for Pending<'_, M, F, WORDS> {
    fn drop(&mut self) {
        self.settle_entries();
        // Not freed: some CPU may still use it.
        core::mem::forget(self.owned.take());
    }
}

impl<M: Machine<WORDS>, F, const WORDS: usize> core::fmt::Debug for Pending<'_, M, F, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pending")
            .field("entries", &self.entries)
            .field("unflushed", self.unflushed())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
