//! A machine that is borrowed is asked for everything that an owned one is.

use std::sync::atomic::{AtomicU64, Ordering};

use rar_percpu::fake::FakeTlb;
use rar_percpu::{Domain, PinnedCpu};
use rar_shootdown::{Event, Instant, NotSent, Stuck};

use super::*;

/// Counts the calls of each method that tells the machine something, or reads its clock.
#[derive(Default)]
struct Counts {
    machine: FakeMachine<CPUS>,
    now: AtomicU64,
    relax: AtomicU64,
    report: AtomicU64,
    report_stuck: AtomicU64,
}

impl Counts {
    fn calls(&self) -> [u64; 4] {
        [&self.now, &self.relax, &self.report, &self.report_stuck]
            .map(|calls| calls.load(Ordering::Relaxed))
    }
}

impl Machine<1> for Counts {
    type Tlb = FakeTlb<CPUS>;

    fn tlb(&self) -> &FakeTlb<CPUS> {
        Machine::<1>::tlb(&self.machine)
    }

    fn send(
        &self,
        message: Message,
        cpu: &PinnedCpu<'_>,
        domain: &Domain<1>,
        targets: &CpuSet<1>,
    ) -> Result<(), NotSent> {
        self.machine.send(message, cpu, domain, targets)
    }

    fn now(&self) -> Instant {
        self.now.fetch_add(1, Ordering::Relaxed);
        Machine::<1>::now(&self.machine)
    }

    fn relax(&self) {
        self.relax.fetch_add(1, Ordering::Relaxed);
    }

    fn report(&self, _: &Event) {
        self.report.fetch_add(1, Ordering::Relaxed);
    }

    fn report_stuck(&self, _: &Stuck<'_, 1>) {
        self.report_stuck.fetch_add(1, Ordering::Relaxed);
    }
}

/// Flushes a CPU that hears nothing, and returns what the machine was asked for.
fn flush_a_silent_cpu<M: Machine<1>>(machine: M, counts: impl Fn(&M) -> &Counts) -> [u64; 4] {
    let shootdown: Shootdown<M, 1> = Shootdown::new(machine, policy(4));
    let counts = counts(shootdown.machine());
    for number in [0, 1] {
        let memory = Box::leak(Box::new(PerCpu::new()));
        let domain = shootdown.domain();
        domain
            .register(cpu(number), ApicId::new(number), memory)
            .unwrap();
        let online = SoftwareCpu::bring_online(domain, &pinned(number), shootdown.tlb());
        std::mem::forget(online.unwrap());
    }
    counts.machine.set_hearing(cpu(1), Hearing::Nothing);
    let late = shootdown.flush(&pinned(0), &[pages(1)], &AllOnline);
    assert!(matches!(late, Err(FlushError::NoAnswer { late: 1, .. })));
    counts.calls()
}

#[test]
fn a_borrowed_machine_gets_every_call_that_an_owned_one_gets() {
    let owned = flush_a_silent_cpu(Counts::default(), |machine| machine);
    assert!(owned.iter().all(|calls| *calls > 0), "{owned:?}");
    let counts = Counts::default();
    assert_eq!(flush_a_silent_cpu(&counts, |machine| *machine), owned);
}
