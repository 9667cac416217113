//! One flush, in one of the ways in which a kernel makes it.

use rar_percpu::{CpuId, DEFAULT_WORDS};
use rar_shootdown::{AllOnline, FlushError, Pending, TargetSet};
use rar_suite::Platform;

use crate::cpu::Cpu;
use crate::frames::Freed;
use crate::layout::bits;
use crate::plan::Plan;
use crate::random::Random;

/// A flush whose time is over.
pub(crate) struct Late<'a, L: Platform> {
    /// The flush, to be waited for again.
    pub(crate) pending: Pending<'a, L::Machine, Freed, DEFAULT_WORDS>,
    /// The CPU that the error names.
    pub(crate) cpu: Option<CpuId>,
}

/// What a flush freed, or the flush itself if its time is over.
pub(crate) type Flushed<'a, L> = Result<Freed, Late<'a, L>>;

#[expect(
    clippy::result_large_err,
    reason = "the driver gives the flush itself back"
)]
impl<'a, L: Platform> Cpu<'a, L> {
    /// Flushes what a plan has changed.
    pub(crate) fn flush(&self, plan: &Plan, freed: Freed, random: &mut Random) -> Flushed<'a, L> {
        let interrupts_off = random.one_in(8);
        if interrupts_off {
            self.platform.disable_interrupts();
        }
        let flushed = if random.one_in(2) {
            self.start_and_wait(plan, freed)
        } else {
            self.flush_at_once(plan, freed)
        };
        if interrupts_off {
            self.platform.enable_interrupts();
        }
        flushed
    }

    fn flush_at_once(&self, plan: &Plan, freed: Freed) -> Flushed<'a, L> {
        let requests = self.requests(plan);
        let targets = self.targets(requests.targets);
        let (cpu, shootdown) = (self.platform.pin(), self.platform.shootdown());
        match shootdown.flush(&cpu, requests.as_slice(), targets) {
            Ok(()) => Ok(freed),
            // That flush is leaked. The same once more owns what it would have freed.
            Err(error) => Err(Late {
                pending: self.start(plan, freed),
                cpu: cpu_of(&error),
            }),
        }
    }

    /// Starts a flush, works, then waits.
    fn start_and_wait(&self, plan: &Plan, freed: Freed) -> Flushed<'a, L> {
        let pending = self.start(plan, freed);
        self.work(plan);
        self.wait(pending)
    }

    /// Makes a flush that must fail.
    pub(crate) fn flush_in_vain(&self, plan: &Plan, freed: Freed) -> Flushed<'a, L> {
        self.wait(self.start(plan, freed))
    }

    /// Waits for a flush.
    pub(crate) fn wait(
        &self,
        pending: Pending<'a, L::Machine, Freed, DEFAULT_WORDS>,
    ) -> Flushed<'a, L> {
        pending.wait(&self.platform.pin()).map_err(|late| Late {
            pending: late.pending,
            cpu: cpu_of(&late.error),
        })
    }

    pub(crate) fn start(
        &self,
        plan: &Plan,
        freed: Freed,
    ) -> Pending<'a, L::Machine, Freed, DEFAULT_WORDS> {
        let requests = self.requests(plan);
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

const fn cpu_of(error: &FlushError) -> Option<CpuId> {
    match error {
        FlushError::NoAnswer { cpu, .. } => Some(*cpu),
        _ => None,
    }
}
