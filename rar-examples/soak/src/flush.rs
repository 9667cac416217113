//! One flush, in one of the ways in which a kernel makes it.

use rar_percpu::{CpuId, DEFAULT_WORDS};
use rar_shootdown::{AllOnline, FlushError, Pending, TargetSet};
use rar_suite::Platform;

use crate::cpu::Cpu;
use crate::frames::Freed;
use crate::layout::bits;
use crate::plan::Plan;
use crate::random::Random;

/// How a flush that must fail ended.
pub(crate) struct Failed<'a, L: Platform> {
    /// The flush, to be waited for again.
    pub(crate) pending: Pending<'a, L::Machine, Freed, DEFAULT_WORDS>,
    /// The CPU that the error names.
    pub(crate) cpu: Option<CpuId>,
}

impl<'a, L: Platform> Cpu<'a, L> {
    /// Flushes what a plan has changed; returns what it freed.
    pub(crate) fn flush(
        &self,
        plan: &Plan,
        freed: Freed,
        random: &mut Random,
    ) -> Result<Freed, FlushError> {
        let interrupts_off = random.one_in(8);
        if interrupts_off {
            self.platform.disable_interrupts();
        }
        let flushed = if random.one_in(2) {
            self.start_and_wait(plan, freed)
        } else {
            let requests = plan.requests(self);
            let cpu = self.platform.pin();
            let shootdown = self.platform.shootdown();
            let targets = self.targets(requests.targets);
            shootdown
                .flush(&cpu, requests.as_slice(), targets)
                .map(|()| freed)
        };
        if interrupts_off {
            self.platform.enable_interrupts();
        }
        flushed
    }

    /// Starts a flush, works, then waits.
    fn start_and_wait(&self, plan: &Plan, freed: Freed) -> Result<Freed, FlushError> {
        let pending = self.start(plan, freed);
        self.work(plan);
        pending
            .wait(&self.platform.pin())
            .map_err(|late| late.error)
    }

    /// Makes a flush that must fail; returns what it freed if it does not.
    #[expect(
        clippy::result_large_err,
        reason = "the driver gives the flush itself back"
    )]
    pub(crate) fn flush_in_vain(&self, plan: &Plan, freed: Freed) -> Result<Freed, Failed<'a, L>> {
        let pending = self.start(plan, freed);
        pending.wait(&self.platform.pin()).map_err(|late| Failed {
            pending: late.pending,
            cpu: match late.error {
                FlushError::NoAnswer { cpu, .. } => Some(cpu),
                _ => None,
            },
        })
    }

    fn start(&self, plan: &Plan, freed: Freed) -> Pending<'a, L::Machine, Freed, DEFAULT_WORDS> {
        let requests = plan.requests(self);
        let targets = self.targets(requests.targets);
        let cpu = self.platform.pin();
        let shootdown = self.platform.shootdown();
        shootdown.start(&cpu, requests.as_slice(), targets, freed)
    }

    /// Uses pages that the plan does not change.
    fn work(&self, plan: &Plan) {
        let others = self.mapped(self.space()) & !plan.mask(self.space());
        bits(others).take(2).for_each(|page| self.load(page));
    }

    fn targets(&self, space: Option<rar_suite::Space>) -> &'a dyn TargetSet {
        match space {
            Some(space) => self.shared.set(space),
            None => &AllOnline,
        }
    }
}
