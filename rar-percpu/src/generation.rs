//! Flush generations: the way to flush a CPU that uses no slot and no action byte.

use crate::cpu_id::PinnedCpu;
use crate::flush_status::FlushStatus;
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
    /// The newest number that is completed, at the place that it has in the request word: the two
    /// words are equal while nothing is asked, and no flag is set.
    completed: AtomicU64,
}

/// The number of one request of full flushes: what its initiator waits for, whatever others request
/// more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket(pub(crate) u64);

impl Ticket {
    /// Returns the number: 1 for the first request of a domain, then in the order of the requests.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

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
        /// Returns the numbers of a CPU before its first request.
        pub(crate) fn new() -> Self {
            Self { requested: AtomicU64::new(0), completed: AtomicU64::new(0) }
        }
    }

    /// Returns whether the CPU has done a full flush that began after the request.
    #[must_use]
    #[inline]
    pub fn is_completed(&self, ticket: Ticket) -> bool {
        // Acquire: the flush is before the number. Partner: the Release in `complete`.
        self.newest_completed() >= ticket
    }

    #[inline]
    fn newest_completed(&self) -> Ticket {
        Ticket(self.completed.load(Ordering::Acquire) >> NUMBER_SHIFT)
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

    /// Returns whether [`complete`](Self::complete) has something to do, or the CPU may be armed
    /// again.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        let word = self.requested.load(Ordering::Acquire);
        let completed = self.completed.load(Ordering::Acquire);
        word != completed && is_asked_by(word, completed)
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

    /// Returns what the CPU was asked for, what it has done, and its modes, for who only watches.
    #[must_use]
    pub fn status(&self) -> FlushStatus {
        let completed = self.newest_completed();
        let word = self.requested.load(Ordering::Acquire);
        FlushStatus {
            requested: Ticket(word >> NUMBER_SHIFT),
            completed,
            is_lazy: word & LAZY != 0,
            is_in_guest: word & GUEST != 0,
            is_demoted: word & DEMOTED != 0,
            is_distrusted: word & DISTRUSTED != 0,
        }
    }

    /// Raises the newest request to the ticket.
    ///
    /// A larger number that is there already stands for this request too: its owner drew it from
    /// the counter later, and so publishes all that was stored before this one was drawn.
    pub(crate) fn request(&self, ticket: Ticket) {
        let mut word = self.requested.load(Ordering::Acquire);
        while word >> NUMBER_SHIFT < ticket.0 {
            let raised = word & BELOW_NUMBER | ticket.0 << NUMBER_SHIFT;
            // AcqRel: publishes the page-table stores before it. Partner: the load in `complete`.
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

    /// Flushes everything once if that is requested; returns whether it flushed.
    ///
    /// One pass, so that a stream of requests cannot hold the CPU: what is requested after it comes
    /// with its own interrupt.
    pub(crate) fn complete(&self, cpu: &PinnedCpu<'_>, tlb: &(impl LocalTlb + ?Sized)) -> bool {
        let newest = self.newest();
        let open = !self.is_completed(newest);
        if open {
            tlb.flush_everything(cpu);
            // A maximum, since a nested call may have published a newer one meanwhile.
            let completed = newest.0 << NUMBER_SHIFT;
            self.completed.fetch_max(completed, Ordering::Release);
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
            flushed: self.complete(cpu, tlb) || missed.is_some(),
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

/// Whether a request is open, or the CPU may be armed again, by the two words.
#[cold]
fn is_asked_by(word: u64, completed: u64) -> bool {
    completed < word & !BELOW_NUMBER || word & (DEMOTED | DISTRUSTED) == DEMOTED
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
mod tests;
