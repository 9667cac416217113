//! The ordinary flush: a few operations, free slots, targets that take entries. What is rare leaves
//! it for good.

use rar_payload::{Operation, Request};
use rar_percpu::{Armed, CpuSet, JoinEpoch, LocalTlb, PinnedCpu};

use crate::counting::Counting;
use crate::error::FlushError;
use crate::machine::{Machine, Message, NotSent};
use crate::pending::Pending;
use crate::shootdown::Shootdown;

/// Who is to be flushed, as it was read behind the fence.
pub(crate) struct Aim<'t, const WORDS: usize> {
    pub(crate) since: JoinEpoch,
    /// The targets that are online, except the initiator.
    pub(crate) remote: &'t CpuSet<WORDS>,
    /// Whether the initiator is a target.
    pub(crate) flush_self: bool,
}

/// How an ordinary flush was begun.
pub(crate) enum Launched<'s, 'a, const N: usize, const WORDS: usize> {
    /// The targets are armed; and whether they were signalled.
    Entries(Armed<'s, 'a, N, WORDS>, Result<(), NotSent>),
    /// No other CPU is a target.
    Alone,
    /// Nothing was begun: it is for the general way.
    NotOrdinary,
}

impl<M: Machine<WORDS>, const WORDS: usize> Shootdown<M, WORDS> {
    /// Flushes and waits, with the operations that the requests take.
    #[inline(always)]
    pub(crate) fn flush_at_once<const N: usize>(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        operations: &[Operation; N],
        aim: &Aim<'_, WORDS>,
    ) -> Result<(), FlushError> {
        match self.launch(cpu, requests, operations, aim) {
            Launched::Entries(armed, Ok(())) => match armed.end() {
                Ok(()) => Ok(()),
                Err(armed) => self.await_answers(cpu, armed, aim.since, Ok(())),
            },
            Launched::Entries(armed, unsent) => self.await_answers(cpu, armed, aim.since, unsent),
            Launched::Alone => Ok(()),
            Launched::NotOrdinary => self.flush_in_general(cpu, requests, aim),
        }
    }

    /// Arms and signals the targets, then flushes here.
    #[inline(always)]
    pub(crate) fn launch<'s, 'a, const N: usize>(
        &'s self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        operations: &[Operation; N],
        aim: &Aim<'a, WORDS>,
    ) -> Launched<'s, 'a, N, WORDS> {
        let domain = self.domain();
        // One operation goes out whatever the limit.
        let is_ordinary = (self.is_plain() || self.suits_policy(requests, aim))
            && (N == 1 || N <= self.policy().max_operations)
            && self.can_drop(requests)
            && domain.takes_entries_only();
        if !is_ordinary {
            return Launched::NotOrdinary;
        }
        if aim.remote.is_empty() {
            self.flush_self(cpu, aim, operations);
            self.count_ordinary(cpu, requests, aim.remote);
            return Launched::Alone;
        }
        let Some(armed) = domain.post(cpu, operations, aim.remote) else {
            return Launched::NotOrdinary;
        };
        let sent = self
            .machine()
            .send(Message::Signal, cpu, domain, aim.remote);
        self.flush_self(cpu, aim, operations);
        self.count_ordinary(cpu, requests, aim.remote);
        Launched::Entries(armed, sent)
    }

    /// Returns whether no CPU may be skipped for the requests, none goes by address, and the wait
    /// is not timed.
    #[inline(always)]
    fn suits_policy(&self, requests: &[Request], aim: &Aim<'_, WORDS>) -> bool {
        let policy = self.policy();
        let skips = policy.skips_lazy(requests) && self.domain().has_lazy(aim.remote);
        policy.counting != Counting::Waits && !skips && !policy.has_by_address(requests)
    }

    /// Starts over with what is rare: several entries a request, CPUs that are skipped or take
    /// none, no free slot.
    #[cold]
    #[inline(never)]
    pub(crate) fn flush_in_general(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        aim: &Aim<'_, WORDS>,
    ) -> Result<(), FlushError> {
        self.start_at(cpu, requests, aim, ()).await_end(cpu)
    }

    #[cold]
    #[inline(never)]
    fn await_answers<const N: usize>(
        &self,
        cpu: &PinnedCpu<'_>,
        armed: Armed<'_, '_, N, WORDS>,
        since: JoinEpoch,
        sent: Result<(), NotSent>,
    ) -> Result<(), FlushError> {
        Pending::of_entries(cpu, self, since, armed.into_posted(), sent, ()).await_end(cpu)
    }

    #[inline]
    pub(crate) fn flush_self(
        &self,
        cpu: &PinnedCpu<'_>,
        aim: &Aim<'_, WORDS>,
        operations: &[Operation],
    ) {
        if !aim.flush_self {
            return;
        }
        for operation in operations {
            if self.machine().tlb().flush(cpu, operation).is_err() {
                self.machine().tlb().flush_everything(cpu);
            }
        }
    }
}
