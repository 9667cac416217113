//! A signal that the machine says it could not send, though the target has answered: the flush
//! succeeds, and the trouble is told.
#![cfg(not(rar_loom))]

use rar_payload::{Pcid, Request};
use rar_percpu::fake::{FakeTlb, pinned};
use rar_percpu::{ApicId, CpuId, CpuSet, Domain, PerCpu, PinnedCpu, SoftwareCpu};
use rar_shootdown::fake::FakeMachine;
use rar_shootdown::{AllOnline, Instant, Machine, Message, NotSent, Policy, Shootdown};

/// The targets serve every message, and the sender complains all the same.
struct Complains(FakeMachine<2>);

impl Machine<1> for Complains {
    type Tlb = FakeTlb<2>;

    fn tlb(&self) -> &FakeTlb<2> {
        Machine::<1>::tlb(&self.0)
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        self.0.send(message, cpu, domain, targets)?;
        Err(NotSent::Busy)
    }

    fn now(&self) -> Instant {
        Machine::<1>::now(&self.0)
    }
}

#[test]
fn an_answer_does_not_hide_that_the_signal_was_not_sent() {
    let shootdown = Shootdown::new(Complains(FakeMachine::new()), Policy::new());
    for number in 0..2 {
        let memory = Box::leak(Box::new(PerCpu::new()));
        shootdown
            .domain()
            .register(CpuId::new(number), ApicId::new(number), memory)
            .unwrap();
        let cpu = pinned(number);
        let _online = SoftwareCpu::bring_online(shootdown.domain(), &cpu, shootdown.tlb()).unwrap();
    }
    let request = Request::AddressSpace { pcid: Pcid::ZERO };
    assert_eq!(shootdown.flush(&pinned(0), &[request], &AllOnline), Ok(()));
    assert_eq!(shootdown.statistics().unsent, 1);
    let started = shootdown.start(&pinned(0), &[request], &AllOnline, ());
    assert!(started.wait(&pinned(0)).is_ok());
    assert_eq!(shootdown.statistics().unsent, 2);
    assert_eq!(shootdown.statistics().fallbacks, 0);
}
