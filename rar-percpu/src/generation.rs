//! Flush generations: the way to flush a CPU that uses no slot and no action byte.

use crate::const_unless_loom;
use crate::cpu_id::PinnedCpu;
use crate::local_tlb::LocalTlb;
use crate::sync::{AtomicU64, Ordering};

/// Bit 0 of the request word: the CPU is deferred, initiators may leave it alone.
const DEFERRED: u64 = 1;
/// Bit 1: an initiator has left it alone.
const SPARED: u64 = 2;
/// The number of the newest request stands above them.
const ONE_REQUEST: u64 = 4;

/// Two counters of one CPU: full flushes that were requested of it, and how many of these it has completed.
///
/// An initiator adds one to the first and interrupts the CPU; the CPU reads it, flushes everything, and publishes what it
/// read as completed. A late answer of a RAR unit cannot be mistaken for one of these, they work when every slot is lost,
/// and they work from an NMI handler.
///
/// A CPU that uses no translation of user spaces for a while (lazy: an idle loop, a kernel thread, a guest) says so with
/// [`Domain::defer`](crate::Domain::defer): initiators then leave a mark and send nothing, and the CPU flushes on its way back.
/// The mark is no request: whoever waits for a request has sent an interrupt for it.
#[repr(align(64))]
#[doc(alias = "tlb_gen")]
#[derive(Debug)]
pub struct FlushGeneration {
    /// Newest request and the two marks: one word, so that leaving a mark and finding out whether the CPU will look are
    /// one step.
    requested: AtomicU64,
    completed: AtomicU64,
}

/// A number that [`FlushGeneration::is_completed`] can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket(u64);

impl FlushGeneration {
    const_unless_loom! {
        /// Returns the counters of a CPU of which nothing was requested.
        pub fn new() -> Self {
            Self { requested: AtomicU64::new(0), completed: AtomicU64::new(0) }
        }
    }

    /// Requests one full flush. The CPU must be interrupted, too.
    pub fn request(&self) -> Ticket {
        // AcqRel: publishes the page-table stores before it. Partner: the load in `serve`.
        Ticket(self.requested.fetch_add(ONE_REQUEST, Ordering::AcqRel) / ONE_REQUEST + 1)
    }

    /// Returns the ticket of the newest request, by whomever.
    #[must_use]
    pub fn newest(&self) -> Ticket {
        Ticket(self.requested.load(Ordering::Acquire) / ONE_REQUEST)
    }

    /// Returns whether the CPU has done a full flush that began after the request.
    #[must_use]
    pub fn is_completed(&self, ticket: Ticket) -> bool {
        // Acquire: the flush is before the count. Partner: the Release in `serve`.
        self.completed.load(Ordering::Acquire) >= ticket.0
    }

    /// If the CPU is deferred, leaves the mark that makes it flush on its way back, and returns `true`: it needs no signal.
    #[must_use]
    pub fn spare_if_deferred(&self) -> bool {
        // The load only saves others the exchange. AcqRel: publishes the page-table stores. Partner: `resume`.
        self.requested.load(Ordering::Acquire) & DEFERRED != 0
            && self.requested.fetch_or(SPARED, Ordering::AcqRel) & DEFERRED != 0
    }

    /// Flushes everything once if anybody has requested it; returns whether it flushed.
    ///
    /// One pass, so that a stream of requests cannot hold the CPU: what is requested after it comes with its own interrupt.
    pub(crate) fn serve(&self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) -> bool {
        let newest = self.newest();
        let open = !self.is_completed(newest);
        if open {
            tlb.flush_everything(cpu);
            // A maximum, since a nested call may have published a newer one meanwhile.
            self.completed.fetch_max(newest.0, Ordering::Release);
        }
        open
    }

    /// From now on the CPU may be left alone.
    ///
    /// It must be an update, not a store: the locked instruction that x86 makes of it lets every earlier store reach memory. A
    /// store that still waited in the buffer, translated long since, would go to a page that was freed while the CPU was left
    /// alone.
    pub(crate) fn defer(&self) {
        self.requested.fetch_or(DEFERRED, Ordering::AcqRel);
    }

    /// Clears the marks first, then flushes if the CPU was left alone meanwhile; returns whether it flushed.
    pub(crate) fn resume(&self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) -> bool {
        let spared = self.clear_marks();
        if spared {
            tlb.flush_everything(cpu);
        }
        self.serve(cpu, tlb) || spared
    }

    /// Ends a deferral without a flush, for a CPU that is about to flush everything; returns whether it was left alone.
    pub(crate) fn clear_marks(&self) -> bool {
        self.requested
            .fetch_and(!(DEFERRED | SPARED), Ordering::AcqRel)
            & SPARED
            != 0
    }
}

impl Default for FlushGeneration {
    fn default() -> Self {
        Self::new()
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
        let first = generation.request();
        let second = generation.request();
        assert!(!generation.is_completed(first));
        assert!(generation.serve(&cpu, &tlb));
        assert!(generation.is_completed(first) && generation.is_completed(second));
        assert_eq!(tlb.full_flushes(cpu.id()), 1);
        assert!(!generation.serve(&cpu, &tlb));
        assert_eq!(tlb.full_flushes(cpu.id()), 1);
    }

    #[test]
    fn a_deferred_cpu_is_left_alone_and_flushes_on_its_way_back() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        assert!(!generation.spare_if_deferred());
        generation.defer();
        assert!(generation.spare_if_deferred());
        assert!(!generation.serve(&cpu, &tlb), "a mark is no request");
        assert!(generation.resume(&cpu, &tlb));
        assert_eq!(tlb.full_flushes(cpu.id()), 1);
        assert!(!generation.spare_if_deferred());
    }

    #[test]
    fn a_request_of_a_deferred_cpu_is_served_at_once() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        generation.defer();
        let ticket = generation.request();
        assert!(generation.spare_if_deferred());
        assert!(generation.serve(&cpu, &tlb));
        assert!(generation.is_completed(ticket));
        assert!(
            generation.is_completed(generation.newest()),
            "sparing adds nothing to wait for"
        );
    }

    #[test]
    fn nothing_requested_costs_no_flush() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        generation.defer();
        assert!(!generation.resume(&cpu, &tlb));
        assert_eq!(tlb.full_flushes(cpu.id()), 0);
    }
}
