//! The scheduler: threads of spaces, which migrate among CPUs.

use core::sync::atomic::Ordering;

use rar_suite::{Platform, Space};

use crate::cpu::Cpu;
use crate::layout::{bit, bits, spaces};
use crate::plan::Plan;
use crate::random::Random;
use crate::tally::add;
use crate::thread::{THREADS, Thread};

impl<'a, L: Platform> Cpu<'a, L> {
    /// Lets another thread run on this CPU, of a space that is open. Without one, the CPU is lazy
    /// in an open space.
    pub(crate) fn reschedule(&self, random: &mut Random) {
        self.leave_lazy();
        self.put_thread();
        let open = self.shared.open.load(Ordering::Acquire);
        let wanted = self.choose_open(random, open);
        let others = spaces(open & !wanted.map_or(0, bit));
        for space in wanted.into_iter().chain(others) {
            if let Some(thread) = self.take_thread(space, random) {
                self.run(space, thread, random);
                return;
            }
        }
        let may_stay = self.shared.is_open(self.space()) && self.runs_in(self.space());
        if let Some(space) = wanted.filter(|_| !may_stay) {
            self.enter(space, random);
        }
        self.enter_lazy();
    }

    fn run(&self, space: Space, thread: &'a Thread, random: &mut Random) {
        self.thread.set(Some(thread));
        if !self.runs_in(space) {
            self.enter(space, random);
        }
    }

    /// Lets a thread of this space run here; returns whether the CPU kept what it had cached.
    pub(crate) fn run_in(&self, space: Space, random: &mut Random) -> bool {
        self.put_thread();
        self.thread.set(self.take_thread(space, random));
        self.enter(space, random)
    }

    /// The CPU that flushes uses the space that has got a PCID now and then: it has flushed itself
    /// by instructions.
    pub(crate) fn use_heir(&self, plan: &Plan, random: &mut Random) {
        if let Some(heir) = plan.heir().filter(|_| random.one_in(2)) {
            let _kept = self.run_in(heir, random);
            bits(plan.mask(plan.space)).for_each(|page| self.load(page));
        }
    }

    /// The thread of this CPU waits; the CPU stays in its space.
    pub(crate) fn put_thread(&self) {
        if let Some(thread) = self.thread.take() {
            thread.put();
        }
    }

    /// Chooses a space: one in two times that of another CPU, so that flushes have targets.
    fn choose_open(&self, random: &mut Random, open: u32) -> Option<Space> {
        let theirs = self.space_of_another(random);
        if random.one_in(2) && open & bit(theirs) != 0 {
            return Some(theirs);
        }
        random.space_of(open)
    }

    fn take_thread(&self, space: Space, random: &mut Random) -> Option<&'a Thread> {
        let threads = &self.shared.space(space).threads;
        let first = random.below(u32::try_from(THREADS).unwrap_or(1)) as usize;
        let (before, after) = threads.split_at_checked(first)?;
        for thread in after.iter().chain(before) {
            if let Some(migrated) = thread.take(self.me) {
                add(&self.shared.tally.migrations, u64::from(migrated));
                return Some(thread);
            }
        }
        None
    }
}
