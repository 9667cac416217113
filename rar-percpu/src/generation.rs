//! Flush generations: the way to flush a CPU that uses no slot and no action byte.

use crate::cpu_id::PinnedCpu;
use crate::local_tlb::LocalTlb;
use crate::sync::{AtomicU64, Ordering, const_unless_loom};

/// Bit 0 of the request word: the CPU uses no translation of user memory.
const LAZY: u64 = 1;
/// Bit 1: the CPU runs a guest and uses no translation of its own at all.
const GUEST: u64 = 2;
/// Bit 2: an initiator has skipped the CPU.
const SKIPPED: u64 = 4;
/// Bit 3: the CPU's RAR unit fell silent; its vector is armed no more.
const DEMOTED: u64 = 8;
/// Bit 4: its registers may not hold what they should, so that a quiet vector says nothing about the unit.
const DISTRUSTED: u64 = 16;
/// The number of the newest request stands above them.
const NUMBER_SHIFT: u32 = 5;
const FLAGS: u64 = (1 << NUMBER_SHIFT) - 1;

/// Two numbers of one CPU: the newest full flush that was requested of it, and the newest that it has completed.
///
/// An initiator draws a [`Ticket`] from the domain, raises the first number to it, and interrupts the CPU; the CPU reads
/// the number, flushes everything, and publishes what it read as completed. A late answer of a RAR unit cannot be
/// mistaken for one of these, they work when every slot is lost, and they work from an NMI handler.
///
/// A CPU in lazy TLB mode ([`Domain::enter_lazy`](crate::Domain::enter_lazy)) or in a guest says so in the first word:
/// initiators then leave a mark and send nothing, and the CPU flushes on its way back. The mark is no request: who waits
/// for a request has sent an interrupt for it.
#[doc(alias = "tlb_gen")]
#[derive(Debug)]
pub struct FlushGeneration {
    /// Newest request and the flags: one word, so that leaving a mark and finding out whether the CPU will look are one
    /// step.
    requested: AtomicU64,
    completed: AtomicU64,
}

/// The number of one request of full flushes: what its initiator waits for, whoever else requests more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket(pub(crate) u64);

/// Which requests a CPU may be skipped for, with a flush on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Skippable {
    /// Flushes that no CPU may be skipped for: freed page tables.
    Never,
    /// Flushes of translations that a CPU in a guest does not use.
    InGuest,
    /// Flushes of user memory, which a CPU in lazy TLB mode does not use either.
    Lazy,
}

/// How a target is to be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Service {
    /// By an entry of the payload table.
    Entry,
    /// By a full flush that is requested of it, with an interrupt.
    Generation,
    /// By itself, on its way back: the mark is left.
    Skipped,
}

/// What a CPU was when it left lazy TLB mode or a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct LeftLazy {
    /// Whether it was in lazy TLB mode. A handler that needs user memory enters it again only then.
    pub was_lazy: bool,
    /// Whether it ran a guest.
    pub was_in_guest: bool,
    /// Whether it flushed.
    pub flushed: bool,
}

impl FlushGeneration {
    const_unless_loom! {
        /// Returns the numbers of a CPU of which nothing was requested.
        pub(crate) fn new() -> Self {
            Self { requested: AtomicU64::new(0), completed: AtomicU64::new(0) }
        }
    }

    /// Returns whether the CPU has done a full flush that began after the request.
    #[must_use]
    pub fn is_completed(&self, ticket: Ticket) -> bool {
        // Acquire: the flush is before the number. Partner: the Release in `serve`.
        self.completed.load(Ordering::Acquire) >= ticket.0
    }

    /// Returns whether initiators arm the CPU's vector no more, because its RAR unit fell silent.
    #[must_use]
    pub fn is_demoted(&self) -> bool {
        self.requested.load(Ordering::Acquire) & DEMOTED != 0
    }

    /// Returns whether the CPU may be armed again as soon as its vector is quiet.
    pub(crate) fn is_trusted_when_quiet(&self) -> bool {
        self.requested.load(Ordering::Acquire) & (DEMOTED | DISTRUSTED) == DEMOTED
    }

    /// Returns the number of the newest request.
    pub(crate) fn newest(&self) -> Ticket {
        Ticket(self.requested.load(Ordering::Acquire) >> NUMBER_SHIFT)
    }

    /// Raises the newest request to the ticket.
    ///
    /// A larger number that is there already stands for this request too: its owner drew it from the counter later, and
    /// so publishes all that was stored before this one was drawn.
    pub(crate) fn request(&self, ticket: Ticket) {
        let mut word = self.requested.load(Ordering::Acquire);
        while word >> NUMBER_SHIFT < ticket.0 {
            let raised = word & FLAGS | ticket.0 << NUMBER_SHIFT;
            // AcqRel: publishes the page-table stores before it. Partner: the load in `serve`.
            match self
                .requested
                .compare_exchange(word, raised, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }

    /// Decides how the CPU is to be flushed, and leaves the mark that makes it flush on its way back if it is skipped.
    pub(crate) fn service(&self, skippable: Skippable) -> Service {
        let may_skip = match skippable {
            Skippable::Never => 0,
            Skippable::InGuest => GUEST,
            Skippable::Lazy => GUEST | LAZY,
        };
        let word = self.requested.load(Ordering::Acquire);
        // The load only saves others the update. AcqRel: publishes the page-table stores. Partner: `leave_lazy`.
        let skipped = word & may_skip != 0
            && self.requested.fetch_or(SKIPPED, Ordering::AcqRel) & may_skip != 0;
        match word & (GUEST | DEMOTED) {
            _ if skipped => Service::Skipped,
            0 => Service::Entry,
            _ => Service::Generation,
        }
    }

    /// Flushes everything once if anybody has requested it; returns whether it flushed.
    ///
    /// One pass, so that a stream of requests cannot hold the CPU: what is requested after it comes with its own interrupt.
    pub(crate) fn serve(&self, cpu: &PinnedCpu<'_>, tlb: &(impl LocalTlb + ?Sized)) -> bool {
        let newest = self.newest();
        let open = !self.is_completed(newest);
        if open {
            tlb.flush_everything(cpu);
            // A maximum, since a nested call may have published a newer one meanwhile.
            self.completed.fetch_max(newest.0, Ordering::Release);
        }
        open
    }

    /// From now on the CPU may be skipped for flushes of user memory.
    ///
    /// It must be an update, not a store: the locked instruction that x86 makes of it lets every earlier store reach
    /// memory. A store still in the store buffer, already translated, could land in a page that was freed while the CPU
    /// was skipped.
    pub(crate) fn enter_lazy(&self) {
        self.requested.fetch_or(LAZY, Ordering::AcqRel);
    }

    /// From now on the CPU may be skipped for every flush but that of freed tables. An update, as in `enter_lazy`.
    pub(crate) fn enter_guest(&self) {
        self.requested.fetch_or(GUEST, Ordering::AcqRel);
    }

    /// Clears the flags first, then flushes if the CPU was skipped meanwhile.
    pub(crate) fn leave_lazy(
        &self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> LeftLazy {
        let word = self.clear(LAZY | GUEST | SKIPPED);
        let skipped = word & SKIPPED != 0;
        if skipped {
            tlb.flush_everything(cpu);
        }
        LeftLazy {
            was_lazy: word & LAZY != 0,
            was_in_guest: word & GUEST != 0,
            flushed: self.serve(cpu, tlb) || skipped,
        }
    }

    /// Ends every mode without a flush, for a CPU that is about to flush everything.
    pub(crate) fn clear_modes(&self) {
        self.clear(LAZY | GUEST | SKIPPED);
    }

    /// Arms the CPU no more; returns whether that is news.
    pub(crate) fn demote(&self) -> bool {
        self.requested.fetch_or(DEMOTED, Ordering::AcqRel) & DEMOTED == 0
    }

    /// Arms the CPU no more, however quiet its vector is, until it is promoted; returns whether that is news.
    pub(crate) fn distrust(&self) -> bool {
        let flags = DEMOTED | DISTRUSTED;
        self.requested.fetch_or(flags, Ordering::AcqRel) & DEMOTED == 0
    }

    /// Arms the CPU again; returns whether that is news.
    pub(crate) fn promote(&self) -> bool {
        self.clear(DEMOTED | DISTRUSTED) & DEMOTED != 0
    }

    fn clear(&self, flags: u64) -> u64 {
        self.requested.fetch_and(!flags, Ordering::AcqRel)
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use super::*;
    use crate::fake::{FakeTlb, pinned};

    #[test]
    fn one_flush_answers_all_requests_before_it() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        generation.request(Ticket(1));
        generation.request(Ticket(3));
        generation.request(Ticket(2));
        assert!(!generation.is_completed(Ticket(1)));
        assert!(generation.serve(&cpu, &tlb));
        assert!(generation.is_completed(Ticket(3)) && !generation.is_completed(Ticket(4)));
        assert_eq!(tlb.full_flushes(cpu.id()), 1);
        assert!(!generation.serve(&cpu, &tlb));
        assert_eq!(tlb.full_flushes(cpu.id()), 1);
    }

    #[test]
    fn a_lazy_cpu_is_skipped_and_flushes_on_its_way_back() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        assert_eq!(generation.service(Skippable::Lazy), Service::Entry);
        generation.enter_lazy();
        assert_eq!(generation.service(Skippable::Never), Service::Entry);
        assert_eq!(generation.service(Skippable::InGuest), Service::Entry);
        assert_eq!(generation.service(Skippable::Lazy), Service::Skipped);
        assert!(!generation.serve(&cpu, &tlb), "a mark is no request");
        let left = generation.leave_lazy(&cpu, &tlb);
        assert_eq!(
            (left.was_lazy, left.was_in_guest, left.flushed),
            (true, false, true)
        );
        assert_eq!(tlb.full_flushes(cpu.id()), 1);
        assert_eq!(generation.service(Skippable::Lazy), Service::Entry);
    }

    #[test]
    fn a_cpu_in_a_guest_is_skipped_but_for_freed_tables() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        generation.enter_guest();
        assert_eq!(generation.service(Skippable::InGuest), Service::Skipped);
        assert_eq!(generation.service(Skippable::Never), Service::Generation);
        assert!(generation.leave_lazy(&cpu, &tlb).was_in_guest);
    }

    #[test]
    fn a_request_of_a_lazy_cpu_is_served_at_once() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        generation.enter_lazy();
        generation.request(Ticket(1));
        assert_eq!(generation.service(Skippable::Lazy), Service::Skipped);
        assert!(generation.serve(&cpu, &tlb));
        assert!(
            generation.is_completed(generation.newest()),
            "skipping adds nothing to wait for"
        );
    }

    #[test]
    fn a_lazy_cpu_that_was_not_skipped_does_not_flush() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        generation.enter_lazy();
        assert!(!generation.leave_lazy(&cpu, &tlb).flushed);
        assert!(
            !generation.leave_lazy(&cpu, &tlb).was_lazy,
            "leaving twice is harmless"
        );
        assert_eq!(tlb.full_flushes(cpu.id()), 0);
    }

    #[test]
    fn a_demoted_cpu_is_served_by_generation_and_keeps_its_number() {
        let generation = FlushGeneration::new();
        generation.request(Ticket(5));
        assert!(generation.demote() && !generation.demote());
        assert_eq!(generation.service(Skippable::Lazy), Service::Generation);
        assert_eq!(generation.newest(), Ticket(5));
        assert!(generation.is_trusted_when_quiet());
        assert!(!generation.distrust() && !generation.is_trusted_when_quiet());
        assert!(generation.promote() && !generation.promote());
        assert_eq!(generation.service(Skippable::Lazy), Service::Entry);
        assert!(generation.distrust() && !generation.demote());
        assert!(generation.is_demoted() && !generation.is_trusted_when_quiet());
    }
}
