//! The CPUs that share one payload table, and who of them is online.

use crate::atomic_cpu_set::AtomicCpuSet;
use crate::clusters::Clusters;
use crate::counters::CpuCounters;
use crate::cpu_id::CpuId;
use crate::cpu_set::{CpuSet, DEFAULT_WORDS};
use crate::cpu_table::CpuTable;
use crate::generation::{FlushGeneration, Service, Skippable, Ticket};
use crate::memory::PayloadTable;
use crate::per_cpu::{PerCpu, Responder};
use crate::slots::Slots;
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
    /// Whether units are refused: zero means that they are not.
    units_refused: AtomicU32,
    clusters: Clusters<WORDS>,
    registered: AtomicCpuSet<WORDS>,
    cpus: CpuTable<WORDS>,
    tickets: Tickets,
    /// What CPUs have counted that are not registered, or are no longer.
    counters_of_others: CpuCounters,
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
                units_refused: AtomicU32::new(0),
                clusters: Clusters::new(),
                registered: AtomicCpuSet::new(),
                cpus: CpuTable::new(),
                tickets: Tickets(AtomicU64::new(0)),
                counters_of_others: CpuCounters::new(),
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

    /// As [`keep_online`](Self::keep_online), and removes the initiator; returns whether it is to
    /// flush itself.
    ///
    /// Besides a member that is one which is not online: no set could name it yet.
    #[inline]
    pub fn keep_online_others(&self, set: &mut CpuSet<WORDS>, initiator: CpuId) -> bool {
        let flush_self = set.remove_before_keep(initiator) || !self.is_online(initiator);
        self.online.intersect(set);
        flush_self
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
        let gone = || !self.is_online(cpu) && state.responder() == Responder::None;
        // Acquire: the full flush is before the number. Partner: the Release in `publish_online`.
        gone() || state.joined().load(Ordering::Acquire) > since.0
    }

    // Full flushes by generation.

    /// Requests a full flush of each of the CPUs. They must be interrupted, too: the handler calls
    /// [`answer`](Self::answer).
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
    /// It saves an initiator sorting the targets where none is. A CPU that enters the mode
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
        let is_silent = |state: &&PerCpu| state.responder() == Responder::Microcode;
        let Some(state) = self.cpu(cpu).filter(is_silent) else {
            return false;
        };
        if !mark(state.generation()) {
            return false;
        }
        self.exceptions.fetch_add(1, Ordering::AcqRel);
        // The CPU may be gone by now, and for good: its mark would make every flush look at each
        // target. Partner: the fence between a CPU's end and its promotion.
        fence(Ordering::SeqCst);
        is_silent(&state) || !self.promote(state)
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
            Responder::None => return,
        };
        // Release: before the CPU is online. Partner: the Acquire in `only_responder`, after the
        // set was read.
        self.responders.fetch_or(bit, Ordering::AcqRel);
    }

    // For the other files of the crate.

    #[inline]
    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    #[inline]
    pub(crate) fn clusters_known(&self) -> &Clusters<WORDS> {
        &self.clusters
    }

    pub(crate) fn id(&self) -> &AtomicU32 {
        &self.id
    }

    pub(crate) fn refused_flag(&self) -> &AtomicU32 {
        &self.units_refused
    }

    pub(crate) fn cpus(&self) -> &CpuTable<WORDS> {
        &self.cpus
    }

    pub(crate) fn counters_of_others(&self) -> &CpuCounters {
        &self.counters_of_others
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

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;
    use rar_regs::ApicId;

    /// For good: its mark would make every flush look at each target.
    #[test]
    fn a_cpu_that_goes_while_it_is_demoted_keeps_no_mark() {
        static MEMORY: PerCpu = PerCpu::new();
        let (domain, cpu) = (Domain::<1>::new(), CpuId::new(0));
        domain.register(cpu, ApicId::new(0), &MEMORY).unwrap();
        let comes = || MEMORY.set_responder(MEMORY.claim().unwrap(), Responder::Microcode);
        comes();
        let is_news = domain.arm_no_more(cpu, |generation| {
            MEMORY.end_life();
            generation.demote()
        });
        assert!(!is_news && domain.takes_entries_only());
        assert!(!MEMORY.generation().is_demoted());
        comes();
        assert!(domain.demote(cpu) && !domain.takes_entries_only());
    }
}
