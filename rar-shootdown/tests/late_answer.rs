//! A target that answers between two looks of its initiator.
#![cfg(not(rar_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rar_payload::{PageRange, PageSize, Pcid, Request};
use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{ApicId, CpuId, CpuSet, Domain, PerCpu, PinnedCpu, SoftwareCpu};
use rar_shootdown::{AllOnline, Instant, Machine, Message, NotSent, Policy, Shootdown};

const TARGET: u32 = 1;

/// CPU 1 hears the signal only while CPU 0 reads the clock.
struct Slow {
    tlb: FakeTlb<2>,
    domain: OnceLock<&'static Domain<1>>,
    clock: AtomicU64,
}

impl Machine<1> for Slow {
    type Tlb = FakeTlb<2>;

    fn tlb(&self) -> &FakeTlb<2> {
        &self.tlb
    }

    fn send(
        &self,
        _: Message,
        _: &PinnedCpu<'_>,
        _: &Domain<1>,
        _: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        Ok(())
    }

    fn now(&self) -> Instant {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        if now >= 2 {
            let domain = self.domain.get().unwrap();
            domain.answer(&pinned(TARGET), &self.tlb);
        }
        Instant::from_nanos(now)
    }
}

#[test]
fn an_answer_while_the_clock_is_read_needs_no_fallback() {
    let shootdown: &'static Shootdown<Slow, 1> = Box::leak(Box::new(Shootdown::new(
        Slow {
            tlb: FakeTlb::new(),
            domain: OnceLock::new(),
            clock: AtomicU64::new(0),
        },
        Policy::new(),
    )));
    let (machine, domain) = (shootdown.machine(), shootdown.domain());
    assert!(machine.domain.set(domain).is_ok());
    for cpu in 0..2 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        domain
            .register(CpuId::new(cpu), ApicId::new(cpu), memory)
            .unwrap();
        let _online = SoftwareCpu::bring_online(domain, &pinned(cpu), machine.tlb()).unwrap();
    }
    let page = Request::Pages {
        pcid: Pcid::new(5).unwrap(),
        range: PageRange::page(0x1000, PageSize::Size4K).unwrap(),
    };
    shootdown.flush(&pinned(0), &[page], &AllOnline).unwrap();
    assert_eq!(machine.tlb().operations(CpuId::new(TARGET)), 1);
    assert_eq!(shootdown.statistics().fallbacks, 0);
}
