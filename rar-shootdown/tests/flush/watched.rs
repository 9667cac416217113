//! A fake that counts what it is asked for, and does something in a spin.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use rar_percpu::fake::FakeTlb;
use rar_percpu::{Domain, PinnedCpu};
use rar_shootdown::{Event, Instant, NotSent, Stuck};

use super::*;

/// What is done in a spin of this number.
type AtSpin = (u64, Box<dyn FnOnce()>);

/// Counts the calls of each method that tells the machine something, or reads its clock.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) machine: FakeMachine<CPUS>,
    pub(super) at_spin: RefCell<Option<AtSpin>>,
    now: AtomicU64,
    relax: AtomicU64,
    report: AtomicU64,
    report_stuck: AtomicU64,
}

impl Watched {
    pub(super) fn calls(&self) -> [u64; 4] {
        [&self.now, &self.relax, &self.report, &self.report_stuck]
            .map(|calls| calls.load(Ordering::Relaxed))
    }
}

impl Machine<1> for Watched {
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
        let spins = self.relax.fetch_add(1, Ordering::Relaxed) + 1;
        let is_due = |(spin, _): &mut (u64, _)| spins >= *spin;
        let due = self.at_spin.borrow_mut().take_if(is_due);
        if let Some((_, act)) = due {
            act();
        }
    }

    fn report(&self, _: &Event) {
        self.report.fetch_add(1, Ordering::Relaxed);
    }

    fn report_stuck(&self, _: &Stuck<'_, 1>) {
        self.report_stuck.fetch_add(1, Ordering::Relaxed);
    }
}
