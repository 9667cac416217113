//! The orchestrator: from requests to a signal.

use rar_payload::{Operation, Request};
use rar_percpu::{CpuSet, DEFAULT_WORDS, Domain, JoinEpoch, LocalTlb, NmiCpu, PinnedCpu, Served};

use crate::error::FlushError;
use crate::event::Event;
use crate::global_flush::ByAddress;
use crate::machine::Machine;
use crate::ordinary::Aim;
use crate::pending::Pending;
use crate::policy::Policy;
use crate::statistics::{AtomicU64, Counters, Statistics, count};
use crate::targets::TargetSet;

/// Flushes the TLBs of other CPUs, with the means of one [`Machine`].
///
/// One value serves all CPUs of its [`Domain`], and can be a `static`. Its path allocates nothing
/// and takes no lock.
///
/// What a flush promises: when [`Pending::wait`] returns `Ok`, every CPU that the target set named
/// has dropped what the requests name, or was offline or lazy in a state whose end drops it.
pub struct Shootdown<M, const WORDS: usize = DEFAULT_WORDS> {
    domain: Domain<WORDS>,
    counters: Counters,
    policy: Policy,
    machine: M,
}

#[cfg(not(rar_loom))]
impl<M, const WORDS: usize> Shootdown<M, WORDS> {
    /// Returns an orchestrator whose domain has no CPUs yet.
    #[must_use]
    pub const fn new(machine: M, policy: Policy) -> Self {
        Self {
            domain: Domain::new(),
            counters: Counters::new(),
            policy,
            machine,
        }
    }
}

#[cfg(rar_loom)]
impl<M, const WORDS: usize> Shootdown<M, WORDS> {
    /// Returns an orchestrator whose domain has no CPUs yet; not `const`, since loom's atomics are
    /// not.
    #[must_use]
    pub fn new(machine: M, policy: Policy) -> Self {
        Self {
            domain: Domain::new(),
            counters: Counters::new(),
            policy,
            machine,
        }
    }
}

impl<M, const WORDS: usize> Shootdown<M, WORDS> {
    /// Returns the domain whose CPUs are flushed.
    #[must_use]
    #[inline]
    pub fn domain(&self) -> &Domain<WORDS> {
        &self.domain
    }

    /// Returns the machine that sends messages and flushes.
    #[must_use]
    #[inline]
    pub fn machine(&self) -> &M {
        #[cfg(all(rar_observed, not(rar_loom)))]
        rar_percpu::observed::read(&self.machine);
        &self.machine
    }

    /// Returns the policy.
    #[must_use]
    #[inline]
    pub fn policy(&self) -> &Policy {
        #[cfg(all(rar_observed, not(rar_loom)))]
        rar_percpu::observed::read(&self.policy);
        &self.policy
    }

    /// Returns how often the rare things happened.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (_, quarantined) = self.domain.free_and_quarantined_slots();
        self.counters.read(quarantined)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl<M: Machine<WORDS>, const WORDS: usize> Shootdown<M, WORDS> {
    /// Starts a flush of `requests` on `targets`. On return this CPU has flushed, if it is a
    /// target; the others may still use stale translations until [`Pending::wait`] returns.
    ///
    /// Call it after the page-table stores. `owned` is what must not be freed before the flush has
    /// ended: frames, page-table pages; [`Pending::wait`] gives it back. All requests go out under
    /// one signal. No request is no flush.
    ///
    /// CPUs in lazy TLB mode are skipped where [`Policy::lazy`] allows it for every request. Kernel
    /// ranges and freed tables are never skipped there.
    ///
    /// # Deadlock
    ///
    /// May be called with interrupts enabled or disabled, and from an interrupt handler while a
    /// flush of the interrupted code is in flight. While it waits for a slot it serves this CPU's
    /// own flushes.
    ///
    /// Do not call it, and do not wait, with a lock held that a target may want with its interrupts
    /// disabled, unless the targets have RAR with `InterruptPolicy::IgnoreIf` and the machine
    /// offers NMIs. Then no flush depends on an interrupt that such a target holds off: a free slot
    /// is waited for as long as an answer, and the last resort is the NMI.
    pub fn start<F>(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        targets: &(impl TargetSet<WORDS> + ?Sized),
        owned: F,
    ) -> Pending<'_, M, F, WORDS> {
        // The caller's page-table stores, a full fence, then the look at who is in the set and
        // online.
        let since = self.domain.begin_flush();
        let mut remote = CpuSet::new();
        targets.add_to(&self.domain, &mut remote);
        let aim = self.aim(cpu, since, &mut remote);
        let single = match requests {
            [one] => one.cheapest_operation(&self.policy.costs),
            _ => None,
        };
        let started = match single {
            Some(one) => self.start_at_once(cpu, requests, &[one], &aim, owned),
            None => Err(owned),
        };
        match started {
            Ok(pending) => pending,
            Err(owned) => self.start_at(cpu, requests, &aim, owned),
        }
    }

    /// Parts the targets into the initiator and the others that are online. They were read after
    /// `since`, and stay where they are: a set is too large to be moved about.
    #[inline(always)]
    fn aim<'t>(
        &self,
        cpu: &PinnedCpu<'_>,
        since: JoinEpoch,
        remote: &'t mut CpuSet<WORDS>,
    ) -> Aim<'t, WORDS> {
        let domain = &self.domain;
        // Before it is online itself, a CPU is in no set that could name it.
        let flush_self = remote.remove(cpu.id()) || !domain.is_online(cpu.id());
        domain.keep_online(remote);
        Aim {
            since,
            remote,
            flush_self,
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn start_at<F>(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        aim: &Aim<'_, WORDS>,
        owned: F,
    ) -> Pending<'_, M, F, WORDS> {
        let mut pending = Pending::of_nobody(self, aim.since, owned);
        if requests.is_empty() {
            return pending;
        }
        if !self.can_drop(requests) {
            pending.set_unsupported();
            return pending;
        }
        let Policy {
            max_operations,
            costs,
            ..
        } = &self.policy;
        let (by_address, collapsed);
        let operations = if let Some(exact) = ByAddress::new(&self.policy, requests) {
            by_address = exact;
            by_address.as_slice()
        } else {
            collapsed = Request::collapse(requests, *max_operations, costs);
            if collapsed.crowded {
                count(&self.counters.collapsed, 1);
            }
            collapsed.operations.as_slice()
        };
        self.send(cpu, requests, operations, *aim.remote, &mut pending);
        self.flush_self(cpu, aim, operations);
        pending
    }

    /// Flushes and waits for the end: [`start`](Self::start), then [`Pending::wait`].
    ///
    /// # Errors
    ///
    /// [`FlushError`] as of [`Pending::wait`].
    pub fn flush(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        targets: &(impl TargetSet<WORDS> + ?Sized),
    ) -> Result<(), FlushError> {
        // The caller's page-table stores, a full fence, then the look at who is in the set and
        // online.
        let since = self.domain.begin_flush();
        let mut remote = CpuSet::new();
        targets.add_to(&self.domain, &mut remote);
        let aim = self.aim(cpu, since, &mut remote);
        match requests {
            [one] => match one.cheapest_operation(&self.policy.costs) {
                Some(one) => self.flush_at_once(cpu, requests, &[one], &aim),
                None => self.flush_two_chunks(cpu, one, &aim),
            },
            [one, two] => match Request::cheapest_pair(one, two, &self.policy.costs) {
                Some(pair) => self.flush_at_once(cpu, requests, &pair, &aim),
                None => self.flush_in_general(cpu, requests, &aim),
            },
            _ => self.flush_in_general(cpu, requests, &aim),
        }
    }

    /// Flushes a range of two chunks at once.
    #[inline(never)]
    fn flush_two_chunks(
        &self,
        cpu: &PinnedCpu<'_>,
        request: &Request,
        aim: &Aim<'_, WORDS>,
    ) -> Result<(), FlushError> {
        let requests = core::slice::from_ref(request);
        let mut operations = request.operations();
        match (operations.next(), operations.next(), operations.next()) {
            (Some(one), Some(two), None) => self.flush_at_once(cpu, requests, &[one, two], aim),
            _ => self.flush_in_general(cpu, requests, aim),
        }
    }

    /// Returns the TLB of the CPU that the code runs on, as the steps of a CPU's life want it.
    #[must_use]
    pub fn tlb(&self) -> &M::Tlb {
        self.machine.tlb()
    }

    /// Carries out in software what others asked of this CPU.
    ///
    /// The handlers of the software signal and of the fallback interrupt call it; so may any code
    /// that spins for long with interrupts disabled. With RAR it serves the flush generation only.
    pub fn serve(&self, cpu: &PinnedCpu<'_>) -> Served {
        let served = self.domain.answer(cpu, self.machine.tlb());
        if served.promoted {
            count(&self.counters.promotions, 1);
            self.report(Event::Promotion { cpu: cpu.id() });
        }
        served
    }

    /// Carries out in software what others asked of this CPU, in its handler of NMIs.
    ///
    /// It may cut into any step of the library on this CPU. It reports no event, since
    /// [`Machine::report`] may have been cut.
    pub fn serve_in_nmi(&self, cpu: &NmiCpu<'_>) -> Served {
        let served = self.domain.answer_in_nmi(cpu, self.machine.tlb());
        if served.promoted {
            count(&self.counters.promotions, 1);
        }
        served
    }

    /// Lets a moment pass in a spin, and serves what others asked of this CPU meanwhile: two CPUs
    /// that flush each other with interrupts disabled would otherwise deadlock.
    pub(crate) fn idle(&self, cpu: &PinnedCpu<'_>) {
        self.serve(cpu);
        self.machine.relax();
    }

    #[cold]
    pub(crate) fn report(&self, event: Event) {
        #[cfg(feature = "defmt")]
        event.log();
        self.machine.report(&event);
    }

    /// Whether a full flush, the last resort, drops what the requests name.
    #[inline]
    pub(crate) fn can_drop(&self, requests: &[Request]) -> bool {
        self.machine.tlb().drops_guest_translations()
            || !requests.iter().any(Request::names_guest_translations)
    }

    /// Posts the operations and signals the targets that take entries; asks the others by
    /// generation.
    fn send<'s, F>(
        &'s self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        operations: &[Operation],
        mut targets: CpuSet<WORDS>,
        pending: &mut Pending<'s, M, F, WORDS>,
    ) {
        let skippable = self.policy.skippable(requests);
        let mut by_generation = self.domain.sort_targets(&mut targets, skippable);
        count_some(&self.counters.by_generation, &by_generation);
        if !targets.is_empty() {
            match self.claim(cpu, operations.len(), &targets) {
                Some(claimed) => {
                    let fewer;
                    let operations = if claimed.len() < operations.len() {
                        count(&self.counters.collapsed, 1);
                        let costs = &self.policy.costs;
                        fewer = Request::collapse(requests, claimed.len(), costs).operations;
                        fewer.as_slice()
                    } else {
                        operations
                    };
                    // There are no more operations than slots now.
                    match claimed.post(operations, &targets) {
                        Ok(posted) => pending.signal(cpu, posted),
                        Err(_) => by_generation.union_with(&targets),
                    }
                }
                None => {
                    count(&self.counters.slotless, 1);
                    self.report(Event::NoSlot);
                    by_generation.union_with(&targets);
                }
            }
        }
        if !by_generation.is_empty() {
            pending.request_full_flush(cpu, &by_generation);
        }
    }
}

fn count_some<const WORDS: usize>(counter: &AtomicU64, cpus: &CpuSet<WORDS>) {
    if !cpus.is_empty() {
        count(counter, cpus.len());
    }
}

/// Of any machine, so that a `dyn Machine` will do.
impl<M, const WORDS: usize> core::fmt::Debug for Shootdown<M, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shootdown")
            .field("online", &self.domain.online())
            .field("policy", &self.policy)
            .field("statistics", &self.statistics())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;

    /// Returns the pairs of lines that an object lies in.
    fn pairs<T>(object: &T) -> core::ops::RangeInclusive<usize> {
        let start = core::ptr::from_ref(object).addr();
        start / 128..=(start + size_of::<T>() - 1) / 128
    }

    #[test]
    fn counters_share_no_pair_of_lines_with_what_every_flush_reads() {
        let shootdown: Shootdown<u64, 1> = Shootdown::new(0, Policy::new());
        let counters = pairs(&shootdown.counters);
        for read in [
            pairs(&shootdown.domain),
            pairs(&shootdown.policy),
            pairs(&shootdown.machine),
        ] {
            let is_apart = read.end() < counters.start() || counters.end() < read.start();
            assert!(is_apart, "{read:?} {counters:?}");
        }
    }
}
