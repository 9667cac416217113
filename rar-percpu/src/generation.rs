//! Flush generations: the way to flush a CPU that uses no slot and no action byte.

use crate::const_unless_loom;
use crate::cpu_id::PinnedCpu;
use crate::local_tlb::LocalTlb;
use crate::sync::{AtomicU64, Ordering};

/// Bit 0 of the request word: the CPU is deferred. The number of the newest request stands above it.
const DEFERRED: u64 = 1;
const ONE_REQUEST: u64 = 2;

/// Two counters of one CPU: full flushes that were requested of it, and how many of these it has completed.
///
/// An initiator adds one to the first and interrupts the CPU; the CPU reads it, flushes everything, and publishes what it
/// read as completed. A late answer of a RAR unit cannot be mistaken for one of these, they work when every slot is lost,
/// and they work from an NMI handler.
///
/// A CPU that uses no translation of a space for a while (lazy: an idle loop, a kernel thread, a guest) says so with
/// [`defer`](Self::defer): initiators then add to the counter and send nothing, and the CPU flushes on its way back.
#[repr(align(64))]
#[doc(alias = "tlb_gen")]
#[derive(Debug)]
pub struct FlushGeneration {
    /// Newest request shifted left by one, and the deferred bit: one word, so that asking and finding out whether the
    /// CPU will look on its own are one step.
    requested: AtomicU64,
    completed: AtomicU64,
}

/// A number that [`FlushGeneration::is_completed`] can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket {
    /// The request's number.
    number: u64,
    /// Whether the CPU was deferred at the moment of the request: then it flushes before it leaves that state.
    deferred: bool,
}

impl Ticket {
    /// Returns whether the CPU was deferred when it was asked, so that nobody needs to interrupt it or wait.
    #[must_use]
    pub fn is_deferred(self) -> bool {
        self.deferred
    }
}

impl FlushGeneration {
    const_unless_loom! {
        /// Returns the counters of a CPU of which nothing was requested.
        pub fn new() -> Self {
            Self { requested: AtomicU64::new(0), completed: AtomicU64::new(0) }
        }
    }

    /// Requests one full flush.
    pub fn request(&self) -> Ticket {
        // AcqRel: publishes the page-table stores before it. Partner: the load in `serve` and the exchange in `resume`.
        let before = self.requested.fetch_add(ONE_REQUEST, Ordering::AcqRel);
        Ticket {
            number: before / ONE_REQUEST + 1,
            deferred: before & DEFERRED != 0,
        }
    }

    /// Returns the ticket of the newest request, by whomever.
    #[must_use]
    pub fn newest(&self) -> Ticket {
        let word = self.requested.load(Ordering::Acquire);
        Ticket {
            number: word / ONE_REQUEST,
            deferred: word & DEFERRED != 0,
        }
    }

    /// Returns whether the CPU has done a full flush that began after the request.
    #[must_use]
    pub fn is_completed(&self, ticket: Ticket) -> bool {
        // Acquire: the flush is before the count. Partner: the Release in `serve`.
        self.completed.load(Ordering::Acquire) >= ticket.number
    }

    /// Returns whether the CPU is deferred at this moment.
    ///
    /// Only a hint: the answer that counts is [`Ticket::is_deferred`] of a [`request`](Self::request).
    #[must_use]
    pub fn is_deferred(&self) -> bool {
        self.requested.load(Ordering::Acquire) & DEFERRED != 0
    }

    /// Flushes everything if anybody has requested it, until no request is open; returns whether it flushed.
    ///
    /// Called by the CPU the counters belong to, from any context.
    pub fn serve(&self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) -> bool {
        let mut flushed = false;
        loop {
            let newest = self.newest().number;
            if self.completed.load(Ordering::Relaxed) >= newest {
                return flushed;
            }
            tlb.flush_everything(cpu);
            // A maximum, since a nested call may have published a newer one meanwhile.
            self.completed.fetch_max(newest, Ordering::Release);
            flushed = true;
        }
    }

    /// From now on initiators of lazy-safe flushes leave this CPU alone. Called by the CPU itself.
    pub fn defer(&self) {
        self.requested.fetch_or(DEFERRED, Ordering::AcqRel);
    }

    /// Ends [`defer`](Self::defer): clears the mark first, then flushes if anything was requested meanwhile. Called by the
    /// CPU itself before it uses a translation again; returns whether it flushed.
    pub fn resume(&self, cpu: &PinnedCpu<'_>, tlb: &impl LocalTlb) -> bool {
        self.requested.fetch_and(!DEFERRED, Ordering::AcqRel);
        self.serve(cpu, tlb)
    }
}

impl Default for FlushGeneration {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
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
        generation.defer();
        let ticket = generation.request();
        assert!(ticket.is_deferred());
        assert!(!generation.is_completed(ticket));
        assert!(generation.resume(&cpu, &tlb));
        assert!(generation.is_completed(ticket));
        assert!(!generation.request().is_deferred());
    }

    #[test]
    fn nothing_requested_costs_no_flush() {
        let (generation, tlb, cpu) = (FlushGeneration::new(), FakeTlb::<1>::new(), pinned(0));
        generation.defer();
        assert!(!generation.resume(&cpu, &tlb));
        assert_eq!(tlb.full_flushes(cpu.id()), 0);
    }
}
