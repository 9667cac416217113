//! What a flush counts, if flushes are counted.

use rar_payload::{InvpcidScope, InvpgScope, Operation, Request};
use rar_percpu::{CpuId, CpuSet, PinnedCpu};

use crate::machine::Machine;
use crate::policy::Policy;
use crate::shootdown::Shootdown;
use crate::statistics::{Count, Statistics, WaitTimes};

/// What is counted besides what is rare.
///
/// Where several CPUs flush at once none waits for another's count: each counts on cache lines of
/// its own. The instructions named here are what a level adds, by the rows `counted` of
/// `docs/performance.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Counting {
    /// Nothing. An ordinary flush asks once whether there is more to count.
    #[default]
    Rare,
    /// What every flush does, and entries that are served in software. It adds 405 instructions to
    /// an ordinary flush, whatever the number of targets.
    ///
    /// Of the waits only those are in [`Statistics::waits`] that read the clock anyway, since the
    /// targets did not answer within a microsecond or two: from the first look at the clock to the
    /// end.
    Flushes,
    /// The same, and every wait for other CPUs: from the signal to the look that sees the end. A
    /// flush that is started, and waited for later, counts until then.
    ///
    /// Each flush takes the general way and reads the clock twice. It adds 1,046 instructions, and
    /// 12 for each target.
    Waits,
}

/// What goes out for some requests.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'r> {
    pub(crate) requests: &'r [Request],
    pub(crate) operations: &'r [Operation],
    /// Whether a request was widened for want of entries.
    pub(crate) crowded: bool,
}

impl<M, const WORDS: usize> Shootdown<M, WORDS> {
    /// Returns what all CPUs have counted, those included that are no longer registered.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (_, quarantined) = self.domain().free_and_quarantined_slots();
        Statistics {
            quarantined,
            ..Statistics::of(&self.domain().counts_of_all())
        }
    }

    /// Returns what one CPU has counted, or `None` if it is not registered. What it counted before
    /// it was last registered is in [`statistics`](Self::statistics) only.
    #[must_use]
    pub fn statistics_of(&self, cpu: CpuId) -> Option<Statistics> {
        let counts = self.domain().counts_of(cpu)?;
        Some(Statistics::of(&counts))
    }

    pub(crate) fn count(&self, cpu: &PinnedCpu<'_>, count: Count, events: usize) {
        let own = self.domain().own_counters(cpu);
        own.add_exactly(count.counter(), events as u64);
    }
}

impl<M: Machine<WORDS>, const WORDS: usize> Shootdown<M, WORDS> {
    /// Counts an ordinary flush, if flushes are counted.
    #[inline(always)]
    pub(crate) fn count_ordinary(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        targets: &CpuSet<WORDS>,
    ) {
        if self.counts_flushes() {
            self.count_by_requests(cpu, requests, targets);
        }
    }

    /// Finds out again what went out: the ordinary flush need not keep it in memory for this.
    #[cold]
    #[inline(never)]
    fn count_by_requests(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        targets: &CpuSet<WORDS>,
    ) {
        let Policy {
            max_operations,
            costs,
            ..
        } = self.policy();
        let collapsed = Request::collapse(requests, *max_operations, costs);
        let plan = Plan {
            requests,
            operations: collapsed.operations.as_slice(),
            crowded: collapsed.crowded,
        };
        self.count_flush(cpu, &plan, targets.len());
    }

    /// Counts a flush by what goes out.
    pub(crate) fn count_flush(&self, cpu: &PinnedCpu<'_>, plan: &Plan<'_>, targets: usize) {
        let own = self.domain().own_counters(cpu);
        own.add(Count::Flushes.counter(), 1);
        own.add(Count::Targets.counter(), targets as u64);
        let mut pages = 0;
        for operation in plan.operations {
            match pages_of(operation) {
                Some(count) => pages += u64::from(count),
                None => own.add(plan.cause(operation).counter(), 1),
            }
        }
        own.add(Count::Pages.counter(), pages);
        let needed: usize = plan.requests.iter().map(|one| one.operations().len()).sum();
        let merged = needed.saturating_sub(plan.operations.len());
        own.add(Count::Merged.counter(), merged as u64);
    }

    pub(crate) fn count_wait(&self, cpu: &PinnedCpu<'_>, nanoseconds: u64) {
        let own = self.domain().own_counters(cpu);
        own.add(WaitTimes::counter(nanoseconds), 1);
    }
}

/// Returns how many pages an operation names, if it names pages.
fn pages_of(operation: &Operation) -> Option<u8> {
    match operation {
        Operation::Invpcid(InvpcidScope::Pages { pages, .. })
        | Operation::Invpg {
            scope: InvpgScope::Pages(pages),
            ..
        } => Some(pages.page_count()),
        #[cfg(feature = "unverified")]
        Operation::Invvpid(rar_payload::InvvpidScope::Pages { pages, .. }) => {
            Some(pages.page_count())
        }
        _ => None,
    }
}

impl Plan<'_> {
    /// Returns why an operation is for more than pages.
    fn cause(&self, operation: &Operation) -> Count {
        let mut found = if self.crowded {
            Count::WholeCrowded
        } else {
            Count::WholeCheaper
        };
        let widened = |request: &&Request| request.widened() == *operation;
        for request in self.requests.iter().filter(widened) {
            found = match request {
                Request::Pages { .. } => continue,
                #[cfg(feature = "unverified")]
                Request::VpidPages { .. } => continue,
                Request::TablesFreed(_) => Count::WholeTables,
                Request::GlobalPages { .. } => Count::WholeGlobals,
                _ => return Count::WholeAsked,
            };
        }
        found
    }
}
