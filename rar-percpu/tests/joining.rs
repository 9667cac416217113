//! A CPU that comes or goes ends the wait of others by a flush, and not before it.
#![cfg(not(rar_loom))]
#![expect(unsafe_code, reason = "the tests play the kernel")]

use std::cell::{Cell, RefCell};

use rar_payload::Operation;
use rar_percpu::fake::pinned;
use rar_percpu::{
    ApicId, CpuId, Domain, JoinEpoch, LocalTlb, PerCpu, PinnedCpu, SoftwareCpu, Unsupported,
};

/// A TLB that asks at each full flush whether CPU 0 still has to answer.
struct Asking<'d> {
    domain: &'d Domain<1>,
    since: Cell<JoinEpoch>,
    needed_no_answer: RefCell<Vec<bool>>,
}

impl<'d> Asking<'d> {
    fn new(domain: &'d Domain<1>) -> Self {
        Self {
            domain,
            since: Cell::new(domain.begin_flush()),
            needed_no_answer: RefCell::default(),
        }
    }

    /// Another CPU begins a flush, which waits for this one until it needs no answer.
    fn begin(&self) {
        self.since.set(self.domain.begin_flush());
        self.needed_no_answer.take();
    }

    fn needs_no_answer(&self) -> bool {
        self.domain.needs_no_answer(CpuId::new(0), self.since.get())
    }
}

// SAFETY: 1., 2., 3. hold since there is no translation to keep; 4. nothing interrupts a test.
unsafe impl LocalTlb for Asking<'_> {
    fn flush(&self, _: &PinnedCpu<'_>, _: &Operation) -> Result<(), Unsupported> {
        Ok(())
    }

    fn flush_everything(&self, _: &PinnedCpu<'_>) {
        self.needed_no_answer
            .borrow_mut()
            .push(self.needs_no_answer());
    }
}

#[test]
fn a_cpu_ends_the_wait_for_it_when_it_has_flushed_and_not_before() {
    let domain = Domain::new();
    let (cpu, memory) = (pinned(0), Box::leak(Box::new(PerCpu::new())));
    domain.register(cpu.id(), ApicId::new(0), memory).unwrap();
    let tlb = Asking::new(&domain);
    for _ in 0..2 {
        tlb.begin();
        assert!(tlb.needs_no_answer(), "it is offline");
        let online = SoftwareCpu::bring_online(&domain, &cpu, &tlb).unwrap();
        // Offline at the first flush, then published: only the end of the second flush counts.
        assert_eq!(*tlb.needed_no_answer.borrow(), [true, false]);
        assert!(tlb.needs_no_answer(), "it has flushed since");

        tlb.begin();
        assert!(!tlb.needs_no_answer(), "it is online, and has not answered");
        // SAFETY: a host; the CPU uses no translation.
        unsafe { online.take_offline(&cpu, &tlb) }.unwrap();
        assert_eq!(*tlb.needed_no_answer.borrow(), [false]);
        assert!(tlb.needs_no_answer(), "it has flushed and gone");
    }
}
