//! The orchestrator: from requests to a signal.

use rar_payload::Request;
use rar_percpu::{CpuSet, DEFAULT_WORDS, Domain, LocalTlb, PinnedCpu};

use crate::counting::{Counting, Plan};
use crate::error::FlushError;
use crate::event::Event;
use crate::global_flush::ByAddress;
use crate::machine::Machine;
use crate::ordinary::{Aim, Launched, Prepared};
use crate::pending::Pending;
use crate::policy::Policy;
use crate::slot_wait::Sorted;
use crate::statistics::Count;
use crate::stuck::Stuck;
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
    settings: Settings,
    machine: M,
}

/// What every flush reads and nothing writes.
struct Settings {
    policy: Policy,
    /// [`Policy::plain_operations`], asked once.
    plain_operations: usize,
}

impl Settings {
    const fn new(policy: Policy) -> Self {
        Self {
            plain_operations: policy.plain_operations(),
            policy,
        }
    }
}

#[cfg(not(rar_loom))]
impl<M, const WORDS: usize> Shootdown<M, WORDS> {
    /// Returns an orchestrator whose domain has no CPUs yet.
    #[must_use]
    pub const fn new(machine: M, policy: Policy) -> Self {
        Self {
            domain: Domain::new(),
            settings: Settings::new(policy),
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
            settings: Settings::new(policy),
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
        &self.settings().policy
    }

    /// Returns how many operations may go out without another look at the policy.
    #[inline]
    pub(crate) fn plain_operations(&self) -> usize {
        self.settings().plain_operations
    }

    /// Returns whether more is counted than what is rare.
    #[inline]
    pub(crate) fn counts_flushes(&self) -> bool {
        self.settings.policy.counting != Counting::Rare
    }

    #[inline]
    fn settings(&self) -> &Settings {
        #[cfg(all(rar_observed, not(rar_loom)))]
        rar_percpu::observed::read(&self.settings);
        &self.settings
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
        let mut remote = CpuSet::new();
        let aim = self.aim(cpu, targets, &mut remote);
        let single = match requests {
            [one] => one.cheapest_operation(&self.settings.policy.costs),
            _ => None,
        };
        let single = single.map(Prepared::from);
        let launched = match &single {
            Some(one) => self.launch(cpu, requests, core::array::from_ref(one), aim, &remote),
            None => Launched::NotOrdinary,
        };
        match launched {
            Launched::Entries(armed, sent) => {
                Pending::of_entries(cpu, self, aim.since, armed.into_posted(), sent, owned)
            }
            Launched::Alone => Pending::of_nobody(self, aim.since, owned),
            Launched::NotOrdinary => self.start_at(cpu, requests, aim, remote, owned),
        }
    }

    /// Adds the targets that are online to an empty set, except the initiator. They stay there: a
    /// set is too large to be moved about.
    #[inline(always)]
    pub(crate) fn aim(
        &self,
        cpu: &PinnedCpu<'_>,
        targets: &(impl TargetSet<WORDS> + ?Sized),
        remote: &mut CpuSet<WORDS>,
    ) -> Aim {
        let domain = &self.domain;
        // The caller's page-table stores, a full fence, then the look at who is in the set and
        // online.
        let since = domain.begin_flush();
        targets.add_to(domain, remote);
        let flush_self = domain.keep_online_others(remote, cpu.id());
        Aim { since, flush_self }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn start_at<F>(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        aim: Aim,
        remote: CpuSet<WORDS>,
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
        } = &self.settings.policy;
        let (by_address, collapsed);
        let mut crowded = false;
        let operations = if let Some(exact) = ByAddress::new(&self.settings.policy, requests) {
            by_address = exact;
            by_address.as_slice()
        } else {
            collapsed = Request::collapse(requests, *max_operations, costs);
            crowded = collapsed.crowded;
            if crowded {
                self.count(cpu, Count::Collapsed, 1);
            }
            collapsed.operations.as_slice()
        };
        let plan = Plan {
            requests,
            operations,
            crowded,
        };
        self.send(cpu, &plan, remote, &mut pending);
        self.flush_self(cpu, aim, operations);
        pending
    }

    /// Flushes and waits for the end: [`start`](Self::start), then [`Pending::wait`].
    ///
    /// # Errors
    ///
    /// [`FlushError`] as of [`Pending::wait`].
    #[inline]
    pub fn flush(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        targets: &(impl TargetSet<WORDS> + ?Sized),
    ) -> Result<(), FlushError> {
        match requests {
            [one] => self.flush_one(cpu, one, targets),
            _ => match requests.try_into() {
                Ok(pair) => self.flush_pair(cpu, pair, targets),
                Err(_) => self.flush_many(cpu, requests, targets),
            },
        }
    }

    /// Returns the TLB of the CPU that the code runs on, as the steps of a CPU's life want it.
    #[must_use]
    pub fn tlb(&self) -> &M::Tlb {
        self.machine.tlb()
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

    #[cold]
    pub(crate) fn report_stuck(&self, stuck: &Stuck<'_, WORDS>) {
        #[cfg(feature = "defmt")]
        defmt::error!("{}", stuck);
        self.machine.report_stuck(stuck);
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
        plan: &Plan<'_>,
        mut targets: CpuSet<WORDS>,
        pending: &mut Pending<'s, M, F, WORDS>,
    ) {
        let Plan {
            requests,
            mut operations,
            mut crowded,
        } = *plan;
        let all = self.counts_flushes().then(|| targets.len());
        let skippable = self.settings.policy.skippable(requests);
        let mut by_generation = self.domain.sort_targets(&mut targets, skippable);
        let skipped = all.map(|all| all - targets.len() - by_generation.len());
        let mut claimed = None;
        if !targets.is_empty() {
            claimed = self.claim_at_once(cpu, operations.len());
            if claimed.is_none() {
                let mut sorted = Sorted {
                    since: pending.since(),
                    skippable,
                    by_entry: &mut targets,
                    by_generation: &mut by_generation,
                };
                claimed = self.claim_later(cpu, operations.len(), &mut sorted);
            }
        }
        if !by_generation.is_empty() {
            self.count(cpu, Count::ByGeneration, by_generation.len());
        }
        let fewer;
        if !targets.is_empty() {
            match claimed {
                Some(claimed) => {
                    if claimed.len() < operations.len() {
                        self.count(cpu, Count::Collapsed, 1);
                        let costs = &self.settings.policy.costs;
                        fewer = Request::collapse(requests, claimed.len(), costs).operations;
                        (operations, crowded) = (fewer.as_slice(), true);
                    }
                    // There are no more operations than slots now.
                    match claimed.post(operations, &targets) {
                        Ok(posted) => pending.signal(cpu, posted),
                        Err(_) => by_generation.union_with(&targets),
                    }
                }
                None => {
                    self.count(cpu, Count::Slotless, 1);
                    self.report(Event::NoSlot);
                    by_generation.union_with(&targets);
                }
            }
        }
        if !by_generation.is_empty() {
            pending.request_full_flush(cpu, &by_generation);
        }
        if let (Some(all), Some(skipped)) = (all, skipped) {
            self.count(cpu, Count::Skipped, skipped);
            let plan = Plan {
                requests,
                operations,
                crowded,
            };
            self.count_flush(cpu, &plan, all);
            pending.begin_count();
        }
    }
}

/// Of any machine, so that a `dyn Machine` will do.
impl<M, const WORDS: usize> core::fmt::Debug for Shootdown<M, WORDS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shootdown")
            .field("online", &self.domain.online())
            .field("policy", &self.settings.policy)
            .field("statistics", &self.statistics())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;
    use crate::fake::FakeMachine;

    #[test]
    fn what_is_plain_is_known_without_a_look_at_the_policy() {
        let shootdown = Shootdown::<_, 1>::new(FakeMachine::<1>::new(), Policy::new());
        assert_eq!(shootdown.plain_operations(), Policy::MAX_OPERATIONS);
    }
}
