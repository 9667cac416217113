//! The ordinary flush: a few operations, free slots, targets that take entries. What is rare leaves
//! it for good.

use core::slice::from_ref;

use rar_payload::{Operation, Request};
use rar_percpu::{Armed, CpuSet, EntryWords, JoinEpoch, LocalTlb, PinnedCpu, Posted};

use crate::counting::Counting;
use crate::error::FlushError;
use crate::machine::{Machine, Message, NotSent};
use crate::pending::{CLEAN_LOOKS, Pending};
use crate::shootdown::Shootdown;
use crate::targets::TargetSet;

/// What was read behind the fence, besides the other CPUs that are to be flushed.
///
/// Those are a set apart. Whatever is rare gets a copy of it, so that no function that is called
/// knows where it is: a set of one word then stays in a register.
#[derive(Clone, Copy)]
pub(crate) struct Aim {
    pub(crate) since: JoinEpoch,
    /// Whether the initiator is a target.
    pub(crate) flush_self: bool,
}

/// An operation, and its entry: made where it is known which operation it is.
#[derive(Clone, Copy)]
pub(crate) struct Prepared {
    operation: Operation,
    entry: EntryWords,
}

impl From<Operation> for Prepared {
    #[inline(always)]
    fn from(operation: Operation) -> Self {
        Self {
            operation,
            entry: EntryWords::from(&operation),
        }
    }
}

// A loop: `map` of arrays is a function that is called, unless all crates are one unit.
#[inline(always)]
fn entries<const N: usize>(prepared: &[Prepared; N]) -> [EntryWords; N] {
    let mut entries = [EntryWords::EMPTY; N];
    for (entry, prepared) in entries.iter_mut().zip(prepared) {
        *entry = prepared.entry;
    }
    entries
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
    // Each number of requests has a function of its own: none keeps what only another needs.

    #[inline(never)]
    pub(crate) fn flush_one(
        &self,
        cpu: &PinnedCpu<'_>,
        request: &Request,
        targets: &(impl TargetSet<WORDS> + ?Sized),
    ) -> Result<(), FlushError> {
        let mut remote = CpuSet::new();
        let aim = self.aim(cpu, targets, &mut remote);
        match request.cheapest_operation(&self.policy().costs) {
            Some(one) => self.flush_at_once(cpu, from_ref(request), &[one.into()], aim, &remote),
            None => self.flush_two_chunks(cpu, request, aim, remote),
        }
    }

    #[inline(never)]
    pub(crate) fn flush_pair(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request; 2],
        targets: &(impl TargetSet<WORDS> + ?Sized),
    ) -> Result<(), FlushError> {
        let mut remote = CpuSet::new();
        let aim = self.aim(cpu, targets, &mut remote);
        let [one, two] = requests;
        let costs = &self.policy().costs;
        let prepare = |request: &Request| request.cheapest_operation(costs).map(Prepared::from);
        // Entries of one address space have one operand.
        let are_apart = |first: &Prepared, second: &Prepared| {
            first.entry.operand() != second.entry.operand()
                || Request::are_kept_apart(one, two, costs)
        };
        match (prepare(one), prepare(two)) {
            (Some(first), Some(second)) if are_apart(&first, &second) => {
                self.flush_at_once(cpu, requests, &[first, second], aim, &remote)
            }
            _ => self.flush_in_general(cpu, requests, aim, remote),
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn flush_many(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        targets: &(impl TargetSet<WORDS> + ?Sized),
    ) -> Result<(), FlushError> {
        let mut remote = CpuSet::new();
        let aim = self.aim(cpu, targets, &mut remote);
        self.flush_in_general(cpu, requests, aim, remote)
    }

    /// Flushes a range of two chunks at once.
    #[inline(never)]
    fn flush_two_chunks(
        &self,
        cpu: &PinnedCpu<'_>,
        request: &Request,
        aim: Aim,
        remote: CpuSet<WORDS>,
    ) -> Result<(), FlushError> {
        let requests = from_ref(request);
        match request.two_chunks() {
            Some([one, two]) => {
                self.flush_at_once(cpu, requests, &[one.into(), two.into()], aim, &remote)
            }
            None => self.flush_in_general(cpu, requests, aim, remote),
        }
    }

    /// Flushes and waits, with the operations that the requests take.
    #[inline(always)]
    pub(crate) fn flush_at_once<const N: usize>(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        prepared: &[Prepared; N],
        aim: Aim,
        remote: &CpuSet<WORDS>,
    ) -> Result<(), FlushError> {
        let (armed, sent) = match self.launch(cpu, requests, prepared, aim, remote) {
            Launched::Entries(armed, Ok(())) => match armed.end() {
                Ok(()) => return Ok(()),
                Err(armed) => (armed, Ok(())),
            },
            Launched::Entries(armed, unsent) => (armed, unsent),
            Launched::Alone => return Ok(()),
            Launched::NotOrdinary => return self.flush_in_general(cpu, requests, aim, *remote),
        };
        let mut place = CpuSet::new();
        self.await_answers(cpu, armed.apart(&mut place), aim.since, sent)
    }

    /// Arms and signals the targets, then flushes here.
    #[inline(always)]
    pub(crate) fn launch<'s, 'a, const N: usize>(
        &'s self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        prepared: &[Prepared; N],
        aim: Aim,
        remote: &'a CpuSet<WORDS>,
    ) -> Launched<'s, 'a, N, WORDS> {
        let domain = self.domain();
        let suits_policy = N <= self.plain_operations() || self.suits_policy(N, requests, *remote);
        let is_ordinary = suits_policy && self.can_drop(requests) && domain.takes_entries_only();
        if !is_ordinary {
            return Launched::NotOrdinary;
        }
        if remote.is_empty() {
            self.flush_self(cpu, aim, prepared.iter().map(|one| &one.operation));
            self.count_ordinary(cpu, requests, remote);
            return Launched::Alone;
        }
        let Some(armed) = domain.post(cpu, &entries(prepared), remote) else {
            return Launched::NotOrdinary;
        };
        let sent = self.machine().send(Message::Signal, cpu, domain, remote);
        self.flush_self(cpu, aim, prepared.iter().map(|one| &one.operation));
        self.count_ordinary(cpu, requests, remote);
        Launched::Entries(armed, sent)
    }

    /// Returns whether the operations may go out, no CPU may be skipped for the requests, none goes
    /// by address, and the wait is not timed. A function of its own, with a copy of the set:
    /// the ordinary flush of a plain policy has its registers for itself.
    #[inline(never)]
    fn suits_policy(&self, operations: usize, requests: &[Request], remote: CpuSet<WORDS>) -> bool {
        let policy = self.policy();
        let skips = policy.skips_lazy(requests) && self.domain().has_lazy(&remote);
        operations <= policy.most_operations()
            && policy.counting != Counting::Waits
            && !skips
            && !policy.has_by_address(requests)
    }

    /// Starts over with what is rare: several entries a request, CPUs that are skipped or take
    /// none, no free slot.
    #[cold]
    #[inline(never)]
    pub(crate) fn flush_in_general(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        aim: Aim,
        remote: CpuSet<WORDS>,
    ) -> Result<(), FlushError> {
        let mut pending = self.start_at(cpu, requests, aim, remote, ());
        pending.await_end(cpu)
    }

    /// Looks again and again: signals take their time.
    #[inline(never)]
    fn await_answers<const N: usize>(
        &self,
        cpu: &PinnedCpu<'_>,
        armed: Armed<'_, '_, N, WORDS>,
        since: JoinEpoch,
        sent: Result<(), NotSent>,
    ) -> Result<(), FlushError> {
        let armed = match sent {
            Ok(()) => match armed.end_soon(CLEAN_LOOKS, || self.machine().relax()) {
                Ok(()) => return Ok(()),
                Err(armed) => armed,
            },
            Err(_) => armed,
        };
        self.await_late(cpu, armed.into_posted(), since, sent)
    }

    #[cold]
    #[inline(never)]
    fn await_late(
        &self,
        cpu: &PinnedCpu<'_>,
        entries: Posted<'_, WORDS>,
        since: JoinEpoch,
        sent: Result<(), NotSent>,
    ) -> Result<(), FlushError> {
        Pending::of_entries(cpu, self, since, entries, sent, ()).await_late(cpu)
    }

    #[inline]
    pub(crate) fn flush_self<'o>(
        &self,
        cpu: &PinnedCpu<'_>,
        aim: Aim,
        operations: impl IntoIterator<Item = &'o Operation>,
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
