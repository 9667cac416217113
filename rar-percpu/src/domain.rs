//! The CPUs that share one payload table, and who of them is online.

use crate::atomic_cpu_set::AtomicCpuSet;
use crate::clusters::Clusters;
use crate::cpu_id::{CpuId, PinnedCpu};
use crate::cpu_set::{CpuSet, DEFAULT_WORDS};
use crate::cpu_table::CpuTable;
use crate::entries::Claimed;
use crate::generation::{FlushGeneration, Service, Skippable, Ticket};
use crate::memory::PayloadTable;
use crate::per_cpu::{PerCpu, Responder};
use crate::slot_index::SlotIndex;
use crate::slots::{Bytes, Claim, HomeSlot, Slots};
use crate::sync::{AtomicU32, AtomicU64, Ordering, const_unless_loom, fence};

/// The CPUs that share one payload table: the table, who owns its slots, who is online, and where
/// each CPU's memory is.
///
/// All of it is one value of zeroes that a kernel puts into a `static`, so a table never has two
/// domains. The CPUs' memory comes when they do. A CPU passes through a domain in this order:
/// [`register`](Self::register) once, then online through [`RarCpu`](crate::RarCpu) or
/// [`SoftwareCpu`](crate::SoftwareCpu), and offline through the same value.
///
/// `WORDS` is the number of CPUs the domain has room for, divided by 64 and rounded up.
///
/// # The order that keeps it right
///
/// An initiator stores to the page table, executes a full fence
/// ([`begin_flush`](Self::begin_flush)), and *then* reads which CPUs are online and in the space. A
/// CPU that comes online publishes itself, executes a full fence, and *then* flushes. Whichever
/// comes first, either the initiator sees the CPU, or the CPU's flush comes after the store.
#[repr(C)]
#[derive(Debug)]
pub struct Domain<const WORDS: usize = DEFAULT_WORDS> {
    table: PayloadTable,
    slots: Slots,
    // Read by every flush, written when a CPU comes or goes.
    online: AtomicCpuSet<WORDS>,
    joins: AtomicU64,
    /// How many CPUs are demoted, and whether one ever entered a guest: zero means that no CPU
    /// needs a second look.
    exceptions: AtomicU32,
    /// Who ever responded: bit 0 for microcode, bit 1 for software.
    responders: AtomicU32,
    id: AtomicU32,
    clusters: Clusters<WORDS>,
    registered: AtomicCpuSet<WORDS>,
    cpus: CpuTable<WORDS>,
    tickets: Tickets,
}

/// The number of the newest request of full flushes, on a line of its own.
#[repr(align(64))]
#[derive(Debug)]
struct Tickets(AtomicU64);

/// The part of `exceptions` that says that a CPU once entered a guest.
const GUESTS: u32 = 1 << 31;

const BY_MICROCODE: u32 = 1;
const BY_SOFTWARE: u32 = 2;

/// A moment in the life of a [`Domain`]: joins before it and joins after it can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JoinEpoch(u64);

impl<const WORDS: usize> Domain<WORDS> {
    const_unless_loom! {
        /// Returns a domain without CPUs: all bytes zero.
        pub fn new() -> Self {
            Self {
                table: PayloadTable::new(),
                slots: Slots::new(),
                online: AtomicCpuSet::new(),
                joins: AtomicU64::new(0),
                exceptions: AtomicU32::new(0),
                responders: AtomicU32::new(0),
                id: AtomicU32::new(0),
                clusters: Clusters::new(),
                registered: AtomicCpuSet::new(),
                cpus: CpuTable::new(),
                tickets: Tickets(AtomicU64::new(0)),
            }
        }
    }

    /// Returns the payload table.
    #[must_use]
    #[inline]
    pub fn table(&self) -> &PayloadTable {
        &self.table
    }

    /// Returns one CPU's state, or `None` if it is not registered.
    #[must_use]
    #[inline]
    pub fn cpu(&self, cpu: CpuId) -> Option<&'static PerCpu> {
        self.cpus.get(cpu)
    }

    /// Returns the CPUs that take part in flushes at this moment.
    #[must_use]
    pub fn online(&self) -> CpuSet<WORDS> {
        self.online.snapshot()
    }

    /// Adds to `set` the CPUs that take part in flushes at this moment.
    #[inline]
    pub fn add_online(&self, set: &mut CpuSet<WORDS>) {
        self.online.add_to(set);
    }

    /// Removes from `set` the CPUs that do not take part in flushes at this moment.
    #[inline]
    pub fn keep_online(&self, set: &mut CpuSet<WORDS>) {
        self.online.intersect(set);
    }

    /// Returns whether a CPU takes part in flushes at this moment.
    #[must_use]
    #[inline]
    pub fn is_online(&self, cpu: CpuId) -> bool {
        self.online.contains(cpu)
    }

    /// Returns the CPUs that are registered, online or not.
    #[must_use]
    pub fn registered(&self) -> CpuSet<WORDS> {
        self.registered.snapshot()
    }

    /// Executes a full fence behind the caller's page-table stores, and returns the moment after
    /// it.
    ///
    /// What is read afterwards (the online set, a target set) is read after the stores are visible.
    #[inline]
    pub fn begin_flush(&self) -> JoinEpoch {
        // Partner: the fence between a CPU's publication and its flush.
        fence(Ordering::SeqCst);
        JoinEpoch(self.joins.load(Ordering::Acquire))
    }

    /// Returns whether a CPU needs no answer any more: it has gone offline and flushed, or was
    /// declared dead, or has come back since, with a full flush that began after `since`.
    #[must_use]
    pub fn needs_no_answer(&self, cpu: CpuId, since: JoinEpoch) -> bool {
        let Some(state) = self.cpu(cpu) else {
            return true;
        };
        // A CPU that is leaving counts only when its responder has ended, which is after its flush.
        let gone = || !self.is_online(cpu) && state.responder() == Responder::Nobody;
        // Acquire: the full flush is before the number. Partner: the Release in `publish_online`.
        gone() || state.joined().load(Ordering::Acquire) > since.0
    }

    // Slots.

    /// Returns how many entries of the table are used: 64, or as many as the smallest limit that
    /// was set.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.slots.usable()
    }

    /// Uses at most that many entries of the table from now on; never more than before.
    ///
    /// [`RarCpu`](crate::RarCpu) calls it with what the hardware has.
    pub fn limit_entries(&self, entries: u8) {
        self.slots.limit(entries);
    }

    /// Returns how many entries of the table no flush uses, and how many are in quarantine.
    #[must_use]
    pub fn free_and_quarantined_slots(&self) -> (usize, usize) {
        (self.slots.free(), self.slots.quarantined())
    }

    /// Claims up to `count` slots for a flush by this CPU; `None` if there is none to be had at
    /// this moment.
    ///
    /// Slots that serve nobody any more are taken over: those of a flush that every CPU has
    /// answered, and those in quarantine whose late bytes have become final.
    #[must_use]
    pub fn claim(&self, cpu: &PinnedCpu<'_>, count: usize) -> Option<Claimed<'_, WORDS>> {
        let owner = cpu.id();
        if let Some(state) = self.cpu(owner) {
            // Before the claim, for a handler that comes right behind it.
            state.note_far_slots();
        }
        Claimed::new(self, owner, count, |owner| {
            let free = self.slots.claim_anywhere(owner);
            free.or_else(|| self.take_over(owner))
        })
    }

    /// Claims up to `count` of the free slots that are near this CPU; `None` if none of them is
    /// free.
    ///
    /// Where CPUs wait for slots, this disturbs the others least: it reads few states, and no
    /// action vector.
    #[must_use]
    pub fn claim_near(&self, cpu: &PinnedCpu<'_>, count: usize) -> Option<Claimed<'_, WORDS>> {
        Claimed::new(self, cpu.id(), count, |owner| self.slots.claim_near(owner))
    }

    /// Returns what the slot is that this CPU tries first: one read, for a spin.
    #[must_use]
    pub fn home_slot(&self, cpu: &PinnedCpu<'_>) -> HomeSlot {
        self.slots.home(cpu.id())
    }

    /// Returns whether flushes that were started on this CPU hold slots: then waiting for another
    /// could wait for itself.
    ///
    /// As [`holds_slots`](Self::holds_slots), which looks at every slot. This looks at those that
    /// are near, unless the CPU has claimed others.
    #[must_use]
    pub fn must_not_wait_for_slot(&self, cpu: &PinnedCpu<'_>) -> bool {
        let owner = cpu.id();
        if self.slots.are_near_held_by(owner) {
            return true;
        }
        let Some(state) = self.cpu(owner) else {
            return self.slots.are_held_by(owner);
        };
        // Forgotten before the look: what a handler claims during it is noted anew.
        if !state.forget_far_slots() {
            return false;
        }
        let holds_slots = self.slots.are_held_by(owner);
        if holds_slots {
            state.note_far_slots();
        }
        holds_slots
    }

    /// Returns whether flushes that were started on a CPU hold slots.
    #[must_use]
    pub fn holds_slots(&self, cpu: CpuId) -> bool {
        self.slots.are_held_by(cpu)
    }

    /// Gives slots back that serve nobody any more, and returns how many.
    ///
    /// A flush that finds no free slot does this by itself. Call it now and then, or when a late
    /// CPU has come back, to have the slots back sooner.
    pub fn reclaim_slots(&self) -> usize {
        let owner = CpuId::new(u32::MAX);
        let taken = core::iter::from_fn(|| self.take_over(owner));
        let count = taken.map(|claim| self.slots.give_back(&claim)).count();
        // A refusal that was left in a free slot would keep it from being taken over one day.
        for claim in SlotIndex::all().filter_map(|slot| self.slots.claim_at(slot, owner)) {
            self.forget_failures(claim.slot());
            self.slots.give_back(&claim);
        }
        count
    }

    /// Forgets what CPUs refused in a slot. Only for its owner, with nothing armed in it.
    #[cold]
    pub(crate) fn forget_failures(&self, slot: SlotIndex) {
        for state in self.registered().iter().filter_map(|cpu| self.cpu(cpu)) {
            state.vector().forget_failure(slot);
        }
    }

    #[inline]
    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    #[cold]
    fn take_over(&self, home: CpuId) -> Option<Claim> {
        let claim = self
            .slots
            .take_over(home.index(), home, |slot| self.bytes(slot))?;
        self.forget_failures(claim.slot());
        Some(claim)
    }

    fn bytes(&self, slot: SlotIndex) -> Bytes {
        let mut all = Bytes::Succeeded;
        for state in self.registered().iter().filter_map(|cpu| self.cpu(cpu)) {
            let byte = state.vector().load(slot);
            if !byte.is_final() {
                return Bytes::Open;
            }
            if byte.0 != 0 {
                all = Bytes::Final;
            }
        }
        all
    }

    // Full flushes by generation.

    /// Requests a full flush of each of the CPUs. They must be interrupted, too: the handler calls
    /// [`serve`](Self::serve).
    ///
    /// Wait for the returned ticket on each, by [`is_flushed`](Self::is_flushed).
    pub fn request_full_flush(&self, targets: &CpuSet<WORDS>) -> Ticket {
        // AcqRel: of two requests, the one with the larger number publishes what was stored before
        // the other.
        let ticket = Ticket(self.tickets.0.fetch_add(1, Ordering::AcqRel) + 1);
        for state in targets.iter().filter_map(|cpu| self.cpu(cpu)) {
            state.generation().request(ticket);
        }
        ticket
    }

    /// Returns whether the CPU has flushed everything since the request.
    #[must_use]
    pub fn is_flushed(&self, cpu: CpuId, ticket: Ticket) -> bool {
        self.cpu(cpu)
            .is_none_or(|state| state.generation().is_completed(ticket))
    }

    // Which CPUs are flushed how.

    /// Keeps those of the targets that are to be flushed by an entry, and returns those that are to
    /// be flushed by generation. The others are skipped: they find what they missed on their way
    /// back.
    pub fn sort_targets(&self, targets: &mut CpuSet<WORDS>, skippable: Skippable) -> CpuSet<WORDS> {
        let mut by_generation = CpuSet::new();
        if !matches!(skippable, Skippable::Lazy(_)) && self.takes_entries_only() {
            return by_generation;
        }
        targets.retain(|cpu| {
            let service = self.cpu(cpu).map_or(Service::Entry, |state| {
                state.generation().service(skippable)
            });
            if service == Service::Generation {
                // It was a member of a set of this size.
                let _fits = by_generation.insert(cpu);
            }
            service == Service::Entry
        });
        by_generation
    }

    /// Returns whether one of the CPUs is in lazy TLB mode at this moment.
    ///
    /// It spares an initiator to sort the targets where nobody is. A CPU that enters the mode
    /// meanwhile is flushed as any other, which is always right.
    #[must_use]
    #[inline]
    pub fn has_lazy(&self, cpus: &CpuSet<WORDS>) -> bool {
        !self.cpus.all(cpus, |state| !state.generation().is_lazy())
    }

    /// Returns whether every CPU that may not be skipped is flushed by an entry: none is demoted,
    /// and none ever ran a guest.
    #[must_use]
    #[inline]
    pub fn takes_entries_only(&self) -> bool {
        self.exceptions.load(Ordering::Acquire) == 0
    }

    /// Arms a CPU no more whose RAR unit fell silent while the CPU itself is alive; returns whether
    /// that is news.
    ///
    /// From now on it is flushed by generation. It is armed again when its vector is found quiet,
    /// or after [`RarCpu::verify`](crate::RarCpu::verify), or when it comes online again. A CPU
    /// that answers in software is never demoted: its handler serves entries and generations alike.
    pub fn demote(&self, cpu: CpuId) -> bool {
        self.arm_no_more(cpu, FlushGeneration::demote)
    }

    /// Demotes a CPU whose unit may be disabled: until it is verified, a quiet vector does not
    /// promote it.
    pub(crate) fn distrust(&self, cpu: CpuId) {
        self.arm_no_more(cpu, FlushGeneration::distrust);
    }

    fn arm_no_more(&self, cpu: CpuId, mark: fn(&FlushGeneration) -> bool) -> bool {
        let silent = self
            .cpu(cpu)
            .filter(|state| state.responder() == Responder::Microcode);
        let news = silent.is_some_and(|state| mark(state.generation()));
        if news {
            self.exceptions.fetch_add(1, Ordering::AcqRel);
        }
        news
    }

    pub(crate) fn promote(&self, state: &PerCpu) -> bool {
        let news = state.generation().promote();
        if news {
            self.exceptions.fetch_sub(1, Ordering::AcqRel);
        }
        news
    }

    pub(crate) fn note_guests(&self) {
        self.exceptions.fetch_or(GUESTS, Ordering::AcqRel);
    }

    /// Returns who answers on every CPU that ever was online, if it is the same on all.
    #[must_use]
    #[inline]
    pub fn only_responder(&self) -> Option<Responder> {
        match self.responders.load(Ordering::Acquire) {
            BY_MICROCODE => Some(Responder::Microcode),
            BY_SOFTWARE => Some(Responder::Software),
            _ => None,
        }
    }

    /// Learns who will respond on a CPU, before the CPU is published.
    pub(crate) fn note_responder(&self, responder: Responder) {
        let bit = match responder {
            Responder::Microcode => BY_MICROCODE,
            Responder::Software => BY_SOFTWARE,
            Responder::Nobody => return,
        };
        // Release: before the CPU is online. Partner: the Acquire in `only_responder`, after the
        // set was read.
        self.responders.fetch_or(bit, Ordering::AcqRel);
    }

    // For the other files of the crate.

    #[inline]
    pub(crate) fn clusters_known(&self) -> &Clusters<WORDS> {
        &self.clusters
    }

    pub(crate) fn id(&self) -> &AtomicU32 {
        &self.id
    }

    pub(crate) fn cpus(&self) -> &CpuTable<WORDS> {
        &self.cpus
    }

    pub(crate) fn online_set(&self) -> &AtomicCpuSet<WORDS> {
        &self.online
    }

    pub(crate) fn registered_set(&self) -> &AtomicCpuSet<WORDS> {
        &self.registered
    }

    pub(crate) fn count_join(&self) -> u64 {
        self.joins.fetch_add(1, Ordering::AcqRel) + 1
    }
}

impl<const WORDS: usize> Default for Domain<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}
