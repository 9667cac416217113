//! Flush generations: the way to flush a CPU that uses no slot and no action byte.

use crate::cpu_id::PinnedCpu;
use crate::local_tlb::LocalTlb;
use crate::missed::Missed;
use crate::sync::{AtomicU64, Ordering, const_unless_loom};

/// Bit 0 of the request word: the CPU uses no translation of user memory.
const LAZY: u64 = 1;
/// Bit 1: the CPU runs a guest and uses no translation of its own at all.
const GUEST: u64 = 2;
/// Bit 2: the CPU's RAR unit fell silent; its vector is armed no more.
const DEMOTED: u64 = 4;
/// Bit 3: its registers may not hold what they should, so that a quiet vector says nothing about
/// the unit.
const DISTRUSTED: u64 = 8;
/// What initiators that skipped the CPU have left for it stands above them; zero if none has.
const MISSED_SHIFT: u32 = 4;
const MISSED: u64 = ((1 << Missed::BITS) - 1) << MISSED_SHIFT;
/// The number of the newest request stands above that, in 47 bits: 4 years at a request each
/// microsecond, 39 hours at 10^9 a second. A request past that ends in an error, since no CPU ever
/// completes it.
const NUMBER_SHIFT: u32 = MISSED_SHIFT + Missed::BITS;
const BELOW_NUMBER: u64 = (1 << NUMBER_SHIFT) - 1;

/// Two numbers of one CPU: the newest full flush that was requested of it, and the newest that it
/// has completed.
///
/// An initiator draws a [`Ticket`] from the domain, raises the first number to it, and interrupts
/// the CPU; the CPU reads the number, flushes everything, and publishes what it read as completed.
/// A late answer of a RAR unit cannot be mistaken for one of these, they work when every slot is
/// lost, and they work from an NMI handler.
///
/// A CPU in lazy TLB mode ([`Domain::enter_lazy`](crate::Domain::enter_lazy)) or in a guest says so
/// in the first word: initiators then leave what it missed and send nothing, and the CPU flushes
/// that on its way back. A miss is no request: who waits for a request has sent an interrupt for
/// it.
#[doc(alias = "tlb_gen")]
#[derive(Debug)]
pub struct FlushGeneration {
    /// Newest request, what was missed, and the flags: one word, so that leaving a miss and finding
    /// out whether the CPU will look are one step.
    requested: AtomicU64,
    completed: AtomicU64,
}

/// The number of one request of full flushes: what its initiator waits for, whoever else requests
/// more.
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
    /// Flushes of user memory, which a CPU in lazy TLB mode does not use either; and what it misses
    /// by them.
    Lazy(Missed),
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
    /// By itself, on its way back: what it missed is noted.
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
    /// Whether it flushed: what it had missed, or everything if a full flush was requested of it,
    /// too.
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
    #[inline]
    pub fn is_completed(&self, ticket: Ticket) -> bool {
        // Acquire: the flush is before the number. Partner: the Release in `serve`.
        self.completed.load(Ordering::Acquire) >= ticket.0
    }

    /// Returns whether the CPU is in lazy TLB mode at this moment: a hint, since it may enter the
    /// mode or leave it meanwhile.
    #[inline]
    pub(crate) fn is_lazy(&self) -> bool {
        self.requested.load(Ordering::Relaxed) & LAZY != 0
    }

    /// Returns whether initiators arm the CPU's vector no more, because its RAR unit fell silent.
    #[must_use]
    pub fn is_demoted(&self) -> bool {
        self.requested.load(Ordering::Acquire) & DEMOTED != 0
    }

    /// Returns whether [`serve`](Self::serve) has something to do, or the CPU may be armed again.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        let word = self.requested.load(Ordering::Acquire);
        !self.is_completed(Ticket(word >> NUMBER_SHIFT)) || word & (DEMOTED | DISTRUSTED) == DEMOTED
    }

    /// Returns whether the CPU may be armed again as soon as its vector is quiet.
    pub(crate) fn is_trusted_when_quiet(&self) -> bool {
        self.requested.load(Ordering::Acquire) & (DEMOTED | DISTRUSTED) == DEMOTED
    }

    /// Returns the number of the newest request, for who only watches: an initiator waits for its
    /// own ticket.
    #[must_use]
    pub fn newest(&self) -> Ticket {
        Ticket(self.requested.load(Ordering::Acquire) >> NUMBER_SHIFT)
    }

    /// Raises the newest request to the ticket.
    ///
    /// A larger number that is there already stands for this request too: its owner drew it from
    /// the counter later, and so publishes all that was stored before this one was drawn.
    pub(crate) fn request(&self, ticket: Ticket) {
        let mut word = self.requested.load(Ordering::Acquire);
        while word >> NUMBER_SHIFT < ticket.0 {
            let raised = word & BELOW_NUMBER | ticket.0 << NUMBER_SHIFT;
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

    /// Decides how the CPU is to be flushed, and notes what it misses if it is skipped.
    pub(crate) fn service(&self, skippable: Skippable) -> Service {
        let (may_skip, missed) = match skippable {
            Skippable::Never => (0, Missed::Anything),
            Skippable::InGuest => (GUEST, Missed::Anything),
            Skippable::Lazy(missed) => (GUEST | LAZY, missed),
        };
        let mut word = self.requested.load(Ordering::Acquire);
        while word & may_skip != 0 {
            // AcqRel: publishes the page-table stores, also where the same was missed before.
            // Partner: `leave_lazy`.
            match self.requested.compare_exchange(
                word,
                with_missed(word, missed),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Service::Skipped,
                Err(found) => word = found,
            }
        }
        match word & (GUEST | DEMOTED) {
            0 => Service::Entry,
            _ => Service::Generation,
        }
    }

    /// Flushes everything once if anybody has requested it; returns whether it flushed.
    ///
    /// One pass, so that a stream of requests cannot hold the CPU: what is requested after it comes
    /// with its own interrupt.
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
    /// It must be an update, not a store: the locked instruction that x86 makes of it lets every
    /// earlier store reach memory. A store still in the store buffer, already translated, could
    /// land in a page that was freed while the CPU was skipped.
    pub(crate) fn enter_lazy(&self) {
        self.requested.fetch_or(LAZY, Ordering::AcqRel);
    }

    /// From now on the CPU may be skipped for every flush but that of freed tables. An update, as
    /// in `enter_lazy`.
    pub(crate) fn enter_guest(&self) {
        self.requested.fetch_or(GUEST, Ordering::AcqRel);
    }

    /// Ends the modes first, so that nothing more is missed, then flushes what was.
    ///
    /// The miss stays until it is flushed: a handler that comes in between and leaves the mode,
    /// too, flushes for itself.
    pub(crate) fn leave_lazy(
        &self,
        cpu: &PinnedCpu<'_>,
        tlb: &(impl LocalTlb + ?Sized),
    ) -> LeftLazy {
        let word = self.clear(LAZY | GUEST);
        let missed = missed_in(word);
        if let Some(missed) = missed {
            missed.flush(cpu, tlb);
            self.clear(MISSED);
        }
        LeftLazy {
            was_lazy: word & LAZY != 0,
            was_in_guest: word & GUEST != 0,
            flushed: self.serve(cpu, tlb) || missed.is_some(),
        }
    }

    /// Ends every mode without a flush, for a CPU that is about to flush everything.
    pub(crate) fn clear_modes(&self) {
        self.clear(LAZY | GUEST | MISSED);
    }

    /// Arms the CPU no more; returns whether that is news.
    pub(crate) fn demote(&self) -> bool {
        self.requested.fetch_or(DEMOTED, Ordering::AcqRel) & DEMOTED == 0
    }

    /// Arms the CPU no more, however quiet its vector is, until it is promoted; returns whether
    /// that is news.
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

fn missed_in(word: u64) -> Option<Missed> {
    Missed::from_bits((word & MISSED) >> MISSED_SHIFT)
}

/// Returns the word after one more miss. In a guest it is anything: what a guest's CPU goes without
/// is not only user memory.
fn with_missed(word: u64, missed: Missed) -> u64 {
    let missed = match word & GUEST {
        0 => missed_in(word).map_or(missed, |before| before.and(missed)),
        _ => Missed::Anything,
    };
    word & !MISSED | missed.to_bits() << MISSED_SHIFT
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    use rar_payload::{Globals, InvpcidScope, Operation, Pcid};

    use super::*;
    use crate::fake::{FakeTlb, pinned};
    use crate::local_tlb::Unsupported;

    const LAZILY: Skippable = Skippable::Lazy(Missed::AnySpace);

    fn space(pcid: u16) -> Missed {
        Missed::Space(Pcid::new(pcid).unwrap())
    }

    fn skip(generation: &FlushGeneration, missed: Missed) {
        assert_eq!(
            generation.service(Skippable::Lazy(missed)),
            Service::Skipped
        );
    }

    /// What the CPU flushed on its way back: the operations, the last of them, the full flushes.
    fn back(generation: &FlushGeneration, tlb: &FakeTlb<1>) -> (u64, Option<Operation>, u64) {
        let cpu = pinned(0);
        let before = (tlb.operations(cpu.id()), tlb.full_flushes(cpu.id()));
        assert!(generation.leave_lazy(&cpu, tlb).flushed);
        (
            tlb.operations(cpu.id()) - before.0,
            tlb.last_operation(cpu.id()),
            tlb.full_flushes(cpu.id()) - before.1,
        )
    }

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
        assert_eq!(generation.service(LAZILY), Service::Entry);
        generation.enter_lazy();
        assert_eq!(generation.service(Skippable::Never), Service::Entry);
        assert_eq!(generation.service(Skippable::InGuest), Service::Entry);
        assert_eq!(generation.service(LAZILY), Service::Skipped);
        assert!(!generation.serve(&cpu, &tlb), "a mark is no request");
        let left = generation.leave_lazy(&cpu, &tlb);
        assert_eq!(
            (left.was_lazy, left.was_in_guest, left.flushed),
            (true, false, true)
        );
        assert_eq!(
            (tlb.operations(cpu.id()), tlb.full_flushes(cpu.id())),
            (1, 0)
        );
        assert!(!generation.leave_lazy(&cpu, &tlb).flushed, "once is enough");
        assert_eq!(generation.service(LAZILY), Service::Entry);
    }

    #[test]
    fn a_cpu_flushes_what_it_missed_and_keeps_its_number() {
        let (generation, tlb) = (FlushGeneration::new(), FakeTlb::<1>::new());
        generation.request(Ticket(7));
        assert!(generation.serve(&pinned(0), &tlb));
        let pcid = Pcid::new(5).unwrap();
        let one = Operation::Invpcid(InvpcidScope::Context { pcid });
        let all = Operation::Invpcid(InvpcidScope::AllContexts(Globals::Exclude));
        for (missed, expected) in [
            (&[space(5)] as &[_], (1, Some(one), 0)),
            (&[space(5), space(5)], (1, Some(one), 0)),
            (&[space(4), space(5)], (1, Some(all), 0)),
            // The second and the third share bits with the first.
            (&[space(4), space(5), space(0)], (1, Some(all), 0)),
            (&[space(5), Missed::AnySpace], (1, Some(all), 0)),
            (&[space(5), Missed::Anything], (0, Some(all), 1)),
            (&[Missed::Anything, space(5)], (0, Some(all), 1)),
        ] {
            generation.enter_lazy();
            missed.iter().for_each(|missed| skip(&generation, *missed));
            assert_eq!(back(&generation, &tlb), expected, "{missed:?}");
            assert_eq!(generation.newest(), Ticket(7));
        }
    }

    #[test]
    fn what_a_guest_went_without_is_anything() {
        let (generation, tlb) = (FlushGeneration::new(), FakeTlb::<1>::new());
        generation.enter_lazy();
        skip(&generation, space(5));
        generation.enter_guest();
        skip(&generation, space(5));
        assert_eq!(back(&generation, &tlb), (0, None, 1));
    }

    /// A TLB whose flush is interrupted by a handler that needs user memory, and that refuses all
    /// but full flushes.
    struct Interrupted<'g> {
        generation: &'g FlushGeneration,
        tlb: FakeTlb<1>,
    }

    #[expect(unsafe_code, reason = "a fake makes the promises of the real thing")]
    // SAFETY: there is no translation to keep.
    unsafe impl LocalTlb for Interrupted<'_> {
        fn flush(&self, cpu: &PinnedCpu<'_>, _: &Operation) -> Result<(), Unsupported> {
            let left = self.generation.leave_lazy(cpu, &self.tlb);
            assert!(left.flushed, "the handler uses what was missed");
            Err(Unsupported)
        }

        fn flush_everything(&self, cpu: &PinnedCpu<'_>) {
            self.tlb.flush_everything(cpu);
        }
    }

    #[test]
    fn a_handler_on_the_way_back_flushes_for_itself_and_a_refusal_costs_a_full_flush() {
        let (generation, cpu) = (FlushGeneration::new(), pinned(0));
        let interrupted = Interrupted {
            generation: &generation,
            tlb: FakeTlb::new(),
        };
        generation.enter_lazy();
        skip(&generation, space(5));
        assert!(generation.leave_lazy(&cpu, &interrupted).flushed);
        let tlb = &interrupted.tlb;
        assert_eq!(
            (tlb.operations(cpu.id()), tlb.full_flushes(cpu.id())),
            (1, 1)
        );
        assert!(!generation.leave_lazy(&cpu, &interrupted).flushed);
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
        assert_eq!(generation.service(LAZILY), Service::Skipped);
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
        assert_eq!(generation.service(LAZILY), Service::Generation);
        assert_eq!(generation.newest(), Ticket(5));
        assert!(generation.is_trusted_when_quiet());
        assert!(!generation.distrust() && !generation.is_trusted_when_quiet());
        assert!(generation.promote() && !generation.promote());
        assert_eq!(generation.service(LAZILY), Service::Entry);
        assert!(generation.distrust() && !generation.demote());
        assert!(generation.is_demoted() && !generation.is_trusted_when_quiet());
    }
}
