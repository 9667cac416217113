//! The orchestrator: from requests to a signal.

use rar_payload::Request;
use rar_percpu::sync::{Ordering, fence};
use rar_percpu::{
    CpuSet, DEFAULT_WORDS, Domain, LocalTlb, PinnedCpu, Served, SlotIndex, const_unless_loom,
};

use crate::batch::Batch;
use crate::error::WaitError;
use crate::events;
use crate::machine::Machine;
use crate::pending::Pending;
use crate::policy::Policy;
use crate::slot::Slots;
use crate::statistics::{Counters, Statistics, count};
use crate::targets::TargetSet;

/// Flushes the TLBs of other CPUs, through one [`Domain`], with the means of one [`Machine`].
///
/// One value serves all CPUs of the domain. Its path allocates nothing and takes no lock.
#[derive(Debug)]
pub struct Shootdown<'m, M, const WORDS: usize = DEFAULT_WORDS> {
    pub(crate) machine: &'m M,
    pub(crate) domain: &'m Domain<'m, WORDS>,
    pub(crate) policy: Policy,
    pub(crate) slots: Slots,
    pub(crate) counters: Counters,
}

impl<'m, M, const WORDS: usize> Shootdown<'m, M, WORDS> {
    const_unless_loom! {
        /// Returns an orchestrator that uses the first `entries` slots of the domain's table: `RarSupport::entries` with RAR, up to 64 without.
        ///
        /// Make one per domain: two would not know of each other's slots.
        pub fn new(machine: &'m M, domain: &'m Domain<'m, WORDS>, entries: usize, policy: Policy) -> Self {
            let usable = if entries < SlotIndex::COUNT { entries } else { SlotIndex::COUNT };
            Self { machine, domain, policy, slots: Slots::new(usable), counters: Counters::new() }
        }
    }

    /// Returns the domain whose CPUs are flushed.
    #[must_use]
    pub fn domain(&self) -> &'m Domain<'m, WORDS> {
        self.domain
    }

    /// Returns the machine that signals and flushes.
    #[must_use]
    pub fn machine(&self) -> &'m M {
        self.machine
    }

    /// Returns how many slots the flushes share, 0 to 64.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.slots.usable()
    }

    /// Takes slots out of quarantine whose bytes have all become final, and returns how many.
    ///
    /// A flush that finds no free slot does this by itself. Call it now and then, or when a late CPU has come back, to have the slots back sooner.
    pub fn reclaim_slots(&self) -> usize {
        let reclaimed = core::iter::from_fn(|| self.slots.reclaim(0, self.domain.cpus()));
        reclaimed.map(|slot| self.slots.release(slot)).count()
    }

    /// Returns how often the rare things happened.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.counters.read(self.slots.quarantined())
    }
}

impl<'m, M: Machine, const WORDS: usize> Shootdown<'m, M, WORDS> {
    /// Starts a flush: when it returns, the targets are signalled and this CPU's own TLB is flushed.
    ///
    /// Call it after the page-table stores. `owned` is what must not be freed before the flush has ended: frames,
    /// page-table pages; [`Pending::wait`] gives it back. All requests go out under one signal.
    ///
    /// CPUs that have deferred (see `Domain::defer`) are left alone where that is safe: for user pages of, or the whole of, an
    /// address space whose tables stay. Addresses in the upper half, kernel ranges and freed tables skip only offline CPUs.
    ///
    /// # Deadlock
    ///
    /// May be called with interrupts enabled or disabled, and from an interrupt handler while a flush of the interrupted
    /// code is in flight. While it waits for a slot it serves this CPU's own flushes. Do not call it, and do not wait,
    /// with a lock held that a target may want with its interrupts disabled, unless the targets have RAR with
    /// `InterruptPolicy::IgnoreIf`.
    pub fn start<'s, F>(
        &'s self,
        cpu: &'s PinnedCpu<'s>,
        requests: &[Request],
        targets: &impl TargetSet<WORDS>,
        owned: F,
    ) -> Pending<'s, M, F, WORDS> {
        // The caller's page-table stores, a full fence, then the look at who joined. Partner: the fence between a joining
        // CPU's publication and its flush.
        fence(Ordering::SeqCst);
        let since = self.domain.epoch();
        let (flush_self, targets) = self.remote_targets(cpu, requests, targets);
        let mut batch = self.batch(requests);
        if !targets.is_empty() && !batch.is_empty() {
            self.claim_slots(cpu, requests, &mut batch);
            self.send(cpu, &targets, &batch);
        }
        if flush_self {
            for operation in batch.operations() {
                if self.machine.tlb().flush(cpu, operation).is_err() {
                    self.machine.tlb().flush_everything(cpu);
                }
            }
        }
        let targets = if batch.is_empty() {
            CpuSet::new()
        } else {
            targets
        };
        Pending::new(self, cpu, batch, targets, since, owned)
    }

    /// Flushes and waits for the end: [`start`](Self::start), then [`Pending::wait`].
    ///
    /// # Errors
    ///
    /// As [`Pending::wait`].
    #[expect(
        clippy::result_large_err,
        reason = "the error gives the flush back, and nothing here allocates"
    )]
    pub fn flush<'s>(
        &'s self,
        cpu: &'s PinnedCpu<'s>,
        requests: &[Request],
        targets: &impl TargetSet<WORDS>,
    ) -> Result<(), WaitError<'s, M, (), WORDS>> {
        self.start(cpu, requests, targets, ()).wait()
    }

    /// Carries out what others asked of this CPU in software.
    ///
    /// The handlers of the software signal and of the fallback interrupt call it; so may any code that spins for long with
    /// interrupts disabled. With RAR it serves the flush generation only.
    pub fn serve(&self, cpu: &PinnedCpu<'_>) -> Served {
        self.domain.serve(cpu, self.machine.tlb())
    }

    /// Lets a moment pass in a spin, and serves what others asked of this CPU meanwhile: two CPUs that flush each other with
    /// interrupts disabled would otherwise wait for ever.
    pub(crate) fn idle(&self, cpu: &PinnedCpu<'_>) {
        let _served = self.serve(cpu);
        self.machine.relax();
    }

    /// Returns whether this CPU is to flush itself, and who else is to be told.
    fn remote_targets(
        &self,
        cpu: &PinnedCpu<'_>,
        requests: &[Request],
        targets: &impl TargetSet<WORDS>,
    ) -> (bool, CpuSet<WORDS>) {
        let mut remote = targets.snapshot(self.domain);
        let online = self.domain.online();
        // Before it is online itself, a CPU is in no set that could name it.
        let flush_self = remote.remove(cpu.id()) || !online.contains(cpu.id());
        remote.intersect_with(&online);
        if requests.iter().all(spares_deferred) {
            for target in remote.clone().iter() {
                let state = self.domain.cpu(target);
                if state.is_some_and(|state| state.generation().spare_if_deferred()) {
                    remote.remove(target);
                }
            }
        }
        (flush_self, remote)
    }

    fn batch(&self, requests: &[Request]) -> Batch {
        Batch::precise(requests, self.policy.operations).unwrap_or_else(|| {
            count(&self.counters.collapsed, 1);
            Batch::covering(requests)
        })
    }

    /// Gives each operation a slot; where they do not suffice, one operation that covers all, or no slot at all.
    fn claim_slots(&self, cpu: &PinnedCpu<'_>, requests: &[Request], batch: &mut Batch) {
        let mut may_wait = true;
        let complete = batch.assign(|| {
            let slot = self.claim(cpu, may_wait);
            may_wait = false;
            slot
        });
        if complete {
            return;
        }
        let first = batch.take_slots().reduce(|first, extra| {
            self.let_go(cpu, extra, true);
            first
        });
        *batch = Batch::covering(requests);
        if first.is_some() {
            count(&self.counters.collapsed, 1);
            batch.assign(|| first);
        }
    }

    /// Claims a slot; waits for one, within bounds, only if told to and if this CPU holds none.
    fn claim(&self, cpu: &PinnedCpu<'_>, may_wait: bool) -> Option<SlotIndex> {
        let home = cpu.id().index();
        let held = self.domain.cpu(cpu.id())?.slots_held();
        let mut started = None;
        loop {
            // Counted before the claim: an interrupt right after it must not wait for another slot.
            let holds_others = held.fetch_add(1, Ordering::Relaxed) > 0;
            let slot = self
                .slots
                .claim(home)
                .or_else(|| self.slots.reclaim(home, self.domain.cpus()));
            if slot.is_some() {
                return slot;
            }
            held.fetch_sub(1, Ordering::Relaxed);
            let hopeless = || self.slots.quarantined() == self.slots.usable();
            let waits = may_wait && !holds_others && !hopeless();
            let now = self.machine.now();
            if !waits || now.is_past(*started.get_or_insert(now), self.policy.slot) {
                return None;
            }
            self.idle(cpu);
        }
    }

    /// Gives a slot back, or sets it apart if it is not settled.
    pub(crate) fn let_go(&self, cpu: &PinnedCpu<'_>, slot: SlotIndex, settled: bool) {
        if settled {
            self.slots.release(slot);
        } else {
            events::quarantine(slot);
            self.slots.quarantine(slot);
        }
        if let Some(state) = self.domain.cpu(cpu.id()) {
            state.slots_held().fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Writes the payloads, arms the targets, and signals; without a slot, asks by generation.
    fn send(&self, cpu: &PinnedCpu<'_>, targets: &CpuSet<WORDS>, batch: &Batch) {
        if !batch.has_slots() {
            count(&self.counters.slotless, 1);
            events::slotless();
            self.ask_by_generation(cpu, targets);
            return;
        }
        for (operation, slot) in batch.written() {
            self.domain.table().store(slot, operation);
        }
        for target in targets.iter() {
            if let Some(state) = self.domain.cpu(target) {
                for slot in batch.slots() {
                    state.vector().arm(slot);
                }
            }
        }
        self.machine.signal(cpu, targets);
    }

    /// Requests a full flush of each target and interrupts it by the ordinary way.
    pub(crate) fn ask_by_generation(&self, cpu: &PinnedCpu<'_>, targets: &CpuSet<WORDS>) {
        for target in targets.iter() {
            if let Some(state) = self.domain.cpu(target) {
                state.generation().request();
            }
        }
        self.machine.interrupt(cpu, targets);
    }
}

/// Whether a CPU that uses no translation of user spaces may be left to flush on its way back.
fn spares_deferred(request: &Request) -> bool {
    match request {
        Request::Pages { range, .. } => range.start() < KERNEL_HALF,
        Request::AddressSpace { .. } => true,
        _ => false,
    }
}

/// Where the upper half of the address space begins, which every CPU uses.
const KERNEL_HALF: u64 = 1 << 63;
