//! The CPU that flushes: one at a time in a scene, so that each flush can be verified.

use core::sync::atomic::Ordering;

use rar_suite::Platform;
use rar_vocabulary::{SoakFault, SoakOperation};

use crate::accounts::{Counters, since};
use crate::cpu::Cpu;
use crate::doing::Doing;
use crate::failure::Kind;
use crate::flush::Late;
use crate::frames::Freed;
use crate::layout::{bit, bits};
use crate::mood::Mood;
use crate::options::SoakOptions;
use crate::order::Order;
use crate::plan::Plan;
use crate::random::Random;

/// One of how many flushes has a control.
const CONTROLS: u32 = 8;
/// How many flushes a scene has: at least this, and less than twice as many.
const FLUSHES: u32 = 48;

/// How rarely another thread runs on this CPU.
const SELDOM: u32 = 24;

/// The CPU that flushes, in one scene.
pub(crate) struct Leader<'c, 'a, L> {
    pub(crate) cpu: &'c Cpu<'a, L>,
    pub(crate) random: Random,
    pub(crate) options: SoakOptions,
    pub(crate) mood: Mood,
    /// The last flush, which is not yet judged.
    last: Option<Plan>,
    /// What the driver had counted when the counters were judged last, and when that was.
    pub(crate) counted: Counters,
    pub(crate) counted_at: u64,
    /// The CPU that is offline, and for how many more flushes.
    pub(crate) away: Option<(u32, u32)>,
}

impl<'c, 'a, L: Platform> Leader<'c, 'a, L> {
    pub(crate) fn new(
        cpu: &'c Cpu<'a, L>,
        random: Random,
        options: &SoakOptions,
        mood: Mood,
    ) -> Self {
        Self {
            cpu,
            random,
            options: *options,
            mood,
            last: None,
            counted: cpu.counters(),
            counted_at: cpu.platform.now().as_nanos(),
            away: None,
        }
    }

    /// Makes the flushes of a scene.
    pub(crate) fn lead(&mut self) {
        self.move_on();
        for _ in 0..FLUSHES + self.random.below(FLUSHES) {
            if self.cpu.shared.failure.is_set() {
                break;
            }
            self.flush_once();
        }
        self.end();
    }

    /// Ends the scene.
    pub(crate) fn end(&mut self) {
        if let Some((away, _)) = self.away {
            self.bring_back(away);
        }
        self.name_pages(None);
        self.order(Order::End);
        self.judge_last();
    }

    /// Lets another thread run on this CPU.
    pub(crate) fn move_on(&mut self) {
        self.cpu.reschedule(&mut self.random);
        self.cpu.leave_lazy();
    }

    /// One flush, with all that is around it.
    pub(crate) fn flush_once(&mut self) {
        if let Some((fault, victim)) = self.choose_fault()
            && let Some(plan) = self.plan_for(victim)
        {
            self.flush_with_fault(fault, victim, &plan);
        } else {
            let plan = self.cpu.choose(&mut self.random);
            self.prepare(&plan, None);
            let freed = self.cpu.change(&plan);
            if self.mood == Mood::Calm && self.random.one_in(CONTROLS) {
                self.order(Order::Control);
            }
            match self.cpu.flush(&plan, freed, &mut self.random) {
                Ok(freed) => self.finish(&plan, &freed),
                Err(late) => self.wait_again(&plan, late),
            }
        }
        self.count_down();
    }

    /// Lets the others judge the last flush and cache what this one changes. Returns the order.
    pub(crate) fn prepare(&mut self, plan: &Plan, fault: Option<(SoakFault, u32)>) -> u64 {
        let shared = self.cpu.shared;
        let (fault, victim) = fault.map_or((0, 0), |(fault, victim)| (fault as u32, victim + 1));
        shared.fault.store(fault, Ordering::Relaxed);
        shared.victim.store(victim, Ordering::Relaxed);
        self.name_pages(Some(plan));
        let word = self.order(Order::Step);
        self.judge_last();
        // This CPU's own TLB has to hold the old translations, too.
        let own = plan.mask(self.cpu.space());
        bits(own).for_each(|page| self.cpu.load(page));
        if !shared.is_open(self.cpu.space()) || self.random.one_in(SELDOM) {
            self.move_on();
        }
        shared
            .doing
            .store(Doing::Operation(plan.operation).code(), Ordering::Relaxed);
        shared.flushes.fetch_add(1, Ordering::Relaxed);
        word
    }

    /// Names the pages of the last flush and of the next one to the others, and the spaces that
    /// they may run in.
    fn name_pages(&self, next: Option<&Plan>) {
        let shared = self.cpu.shared;
        shared.judged.name(self.last.as_ref());
        shared.cached.name(next);
        let closed = next.filter(|plan| plan.loses_pcid);
        let closed = closed.map_or(0, |plan| bit(plan.space));
        let open = shared.runnable() & !closed;
        shared.open.store(open, Ordering::Release);
    }

    /// Gives an order, and waits until all that are not away have obeyed it.
    pub(crate) fn order(&self, order: Order) -> u64 {
        let (cpu, shared) = (self.cpu, self.cpu.shared);
        let word = shared.order.give(order);
        let away = self.away.map(|(away, _)| away);
        for other in 0..cpu.cpus() {
            if other != cpu.me && Some(other) != away {
                cpu.wait_until("a CPU that follows", || {
                    shared.post(other).obeyed.load(Ordering::Acquire) >= word
                });
            }
        }
        word
    }

    /// A flush has returned: what it freed is free, and what it changed is to be seen.
    pub(crate) fn finish(&mut self, plan: &Plan, freed: &Freed) {
        self.cpu.publish_all(plan);
        self.cpu.free_all(freed);
        self.cpu.shared.tally.flushed(plan.operation, 1);
        self.cpu.use_heir(plan, &mut self.random);
        let own = plan.mask(self.cpu.space());
        bits(own).for_each(|page| self.cpu.load(page));
        self.last = Some(*plan);
        if self.random.one_in(2) {
            self.cpu.refill(plan, &mut self.random);
        }
    }

    /// Waits once more for a flush whose time is over. The error is counted, and is judged with the
    /// counters: the host may have paused a CPU for that long.
    pub(crate) fn wait_again(&mut self, plan: &Plan, late: Late<'a, L>) {
        match self.cpu.wait(late.pending) {
            Ok(freed) => self.finish(plan, &freed),
            // Its pages stay in flight for good.
            Err(_) => self.cpu.fail(Kind::FlushFailed, (plan.space, 0), 0, 1),
        }
    }

    /// The others have judged the last flush.
    fn judge_last(&mut self) {
        let witnesses = self.cpu.shared.witnesses.swap(0, Ordering::AcqRel);
        if let Some(last) = self.last.take().filter(|_| witnesses > 0) {
            self.cpu.shared.tally.verified(last.operation);
        }
        let counters = self.cpu.counters();
        let counted = since(&counters, &self.counted);
        self.cpu.judge_counters(&counted, self.counted_at);
        self.count_from_here();
    }

    /// What the driver has counted so far is accounted for.
    pub(crate) fn count_from_here(&mut self) {
        self.counted = self.cpu.counters();
        self.counted_at = self.cpu.platform.now().as_nanos();
    }

    /// Returns a plan for a flush that the fault of a CPU meets.
    fn plan_for(&mut self, victim: u32) -> Option<Plan> {
        let space = self.cpu.space_of(victim);
        let plan = self.cpu.choose_remap(&mut self.random, space);
        plan.filter(|plan| plan.operation == SoakOperation::Remap)
    }
}
