//! An answer that arrives while the initiator reads the clock: after its look at the entries,
//! before it decides.
#![cfg(not(rar_loom))]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rar_payload::{Pcid, Request};
use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{ApicId, CpuId, CpuSet, Domain, PerCpu, PinnedCpu, SoftwareCpu};
use rar_shootdown::{AllOnline, Instant, Machine, Message, NotSent, Policy, Shootdown};

/// CPU 1 serves whenever the clock is read, and only then.
struct ServesMeanwhile {
    tlb: FakeTlb<2>,
    reads: AtomicU64,
    interrupts: AtomicU64,
}

static SHOOTDOWN: OnceLock<Shootdown<ServesMeanwhile, 1>> = OnceLock::new();

impl Machine<1> for ServesMeanwhile {
    type Tlb = FakeTlb<2>;

    fn tlb(&self) -> &FakeTlb<2> {
        &self.tlb
    }

    fn send(
        &self,
        message: Message,
        _: &PinnedCpu<'_>,
        _: &Domain<1>,
        _: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        if message != Message::Signal {
            self.interrupts.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        if let Some(shootdown) = SHOOTDOWN.get() {
            shootdown.serve(&pinned(1));
        }
        Instant::from_nanos(self.reads.fetch_add(1, Ordering::Relaxed))
    }
}

#[test]
fn an_answer_that_arrives_after_the_look_is_seen_at_the_next_one_and_is_no_reason_to_fall_back() {
    let shootdown = SHOOTDOWN.get_or_init(|| {
        let machine = ServesMeanwhile {
            tlb: FakeTlb::new(),
            reads: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
        };
        Shootdown::new(machine, Policy::new())
    });
    let (domain, machine) = (shootdown.domain(), shootdown.machine());
    for number in 0..2 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(number), ApicId::new(number), memory)
            .unwrap();
        let _online = SoftwareCpu::bring_online(domain, &pinned(number), &machine.tlb).unwrap();
    }
    let full_flushes = machine.tlb.full_flushes(CpuId::new(1));
    let request = Request::AddressSpace { pcid: Pcid::ZERO };
    let pending = shootdown.start(&pinned(0), &[request], &AllOnline, ());
    assert!(!pending.is_done(), "CPU 1 answers only at the clock");
    pending.wait(&pinned(0)).unwrap();

    assert_eq!(machine.reads.load(Ordering::Relaxed), 1);
    assert_eq!(machine.tlb.operations(CpuId::new(1)), 1);
    assert_eq!(machine.interrupts.load(Ordering::Relaxed), 0);
    assert_eq!(shootdown.statistics().fallbacks, 0);
    assert_eq!(machine.tlb.full_flushes(CpuId::new(1)), full_flushes);
}
