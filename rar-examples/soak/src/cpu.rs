//! One CPU of a soak: its place in a space, its barriers and waits.

use core::cell::Cell;
use core::sync::atomic::{Ordering, fence};

use rar_percpu::CpuId;
use rar_shootdown::Machine as _;
use rar_suite::{Platform, Space};

use crate::doing::Doing;
use crate::failure::{Failure, Kind};
use crate::random::Random;
use crate::raw;
use crate::shared::{Post, Shared};
use crate::tally::add;
use crate::thread::Thread;

/// What a CPU knows of a space.
struct Met {
    /// The number of the PCID's assignment under which the CPU entered it last.
    assignment: Cell<u32>,
    /// Whether it has left the set of the space since.
    has_left: Cell<bool>,
}

impl Met {
    const fn new() -> Self {
        Self {
            assignment: Cell::new(0),
            has_left: Cell::new(false),
        }
    }

    /// Whether no flush of the space has missed the CPU: it has stayed in the set, or has cached
    /// nothing since all CPUs flushed the PCID.
    fn may_keep(&self, assignment: u32) -> bool {
        self.assignment.get() != assignment || !self.has_left.get()
    }

    fn enter(&self, assignment: u32) {
        self.assignment.set(assignment);
        self.has_left.set(false);
    }

    fn leave(&self) {
        self.has_left.set(true);
    }
}

/// One CPU of a soak.
pub(crate) struct Cpu<'a, L> {
    pub(crate) shared: &'a Shared,
    pub(crate) platform: &'a L,
    pub(crate) me: u32,
    space: Cell<Space>,
    /// The thread that it runs, if it is not lazy without one.
    pub(crate) thread: Cell<Option<&'a Thread>>,
    met: [Met; Space::COUNT],
    is_lazy: Cell<bool>,
    barriers: Cell<u64>,
    pub(crate) accesses: Cell<u64>,
}

impl<'a, L: Platform> Cpu<'a, L> {
    pub(crate) fn new(shared: &'a Shared, platform: &'a L) -> Self {
        Self {
            shared,
            platform,
            me: platform.pin().id().get(),
            space: Cell::new(Space::First),
            thread: Cell::new(None),
            met: [const { Met::new() }; Space::COUNT],
            is_lazy: Cell::new(false),
            barriers: Cell::new(0),
            accesses: Cell::new(0),
        }
    }

    pub(crate) fn cpus(&self) -> u32 {
        self.platform.cpus()
    }

    pub(crate) fn post(&self) -> &'a Post {
        self.shared.post(self.me)
    }

    pub(crate) fn space(&self) -> Space {
        self.space.get()
    }

    pub(crate) fn is_lazy(&self) -> bool {
        self.is_lazy.get()
    }

    /// Runs in a space from here on: joins its set, loads CR3, and only then leaves the other set,
    /// or stays in it to keep what is cached. Returns whether the CPU kept what it had cached of
    /// the space.
    pub(crate) fn enter(&self, space: Space, random: &mut Random) -> bool {
        let (me, old) = (CpuId::new(self.me), self.space());
        self.leave_lazy();
        // A soak runs on fewer CPUs than a set can name.
        let _fits = self.shared.set(space).insert(me);
        fence(Ordering::SeqCst);
        let keeps = self.has_pcids() && self.met(space).may_keep(self.assignment(space));
        if keeps {
            self.platform.enter_keeping(space);
            add(&self.shared.tally.kept, 1);
        } else {
            self.platform.enter(space);
        }
        self.met(space).enter(self.assignment(space));
        let stays = self.has_pcids() && random.one_in(2);
        if old != space && !stays {
            raw::leave(self.shared.set(old), me);
            self.met(old).leave();
        }
        add(&self.shared.tally.switches, 1);
        self.space.set(space);
        let number = u32::try_from(space.index()).unwrap_or(0);
        self.post().space.store(number, Ordering::Relaxed);
        keeps
    }

    /// Whether this CPU runs in a space, under the PCID that the space has now: while it was
    /// offline, the space may have lost its PCID and got another.
    pub(crate) fn runs_in(&self, space: Space) -> bool {
        self.space() == space && self.met(space).assignment.get() == self.assignment(space)
    }

    fn assignment(&self, space: Space) -> u32 {
        let assignment = &self.shared.space(space).assignment;
        assignment.load(Ordering::Acquire)
    }

    #[expect(clippy::indexing_slicing, reason = "a number below Space::COUNT")]
    fn met(&self, space: Space) -> &Met {
        &self.met[space.index()]
    }

    /// Puts this CPU into lazy TLB mode: it runs a kernel thread, in the space of the last thread.
    pub(crate) fn enter_lazy(&self) {
        if !self.is_lazy.replace(true) {
            raw::enter_lazy(self.platform.shootdown().domain(), &self.platform.pin());
            add(&self.shared.tally.lazy, 1);
        }
    }

    pub(crate) fn leave_lazy(&self) {
        if self.is_lazy.replace(false) {
            let shootdown = self.platform.shootdown();
            let tlb = shootdown.machine().tlb();
            let _left = shootdown.domain().leave_lazy(&self.platform.pin(), tlb);
        }
    }

    /// Whether a CPU is demoted: its unit was silent.
    pub(crate) fn is_demoted(&self, cpu: u32) -> bool {
        let state = self.platform.shootdown().domain().cpu(CpuId::new(cpu));
        state.is_some_and(|state| state.generation().is_demoted())
    }

    /// Serves what others asked of this CPU, as its interrupt handler would.
    pub(crate) fn serve(&self) {
        let _served = self.platform.shootdown().serve(&self.platform.pin());
    }

    /// Waits until all CPUs are here. Serves the others, since interrupts may be disabled.
    pub(crate) fn barrier(&self) {
        let number = self.barriers.get() + 1;
        self.barriers.set(number);
        self.shared.arrived.fetch_add(1, Ordering::AcqRel);
        let all = number * u64::from(self.cpus());
        self.wait_until("a barrier", || {
            self.serve();
            self.shared.arrived.load(Ordering::Acquire) >= all
        });
    }

    /// Waits for what other CPUs cause. Notes when this CPU did not run for long. Ends the run on a
    /// timeout.
    pub(crate) fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let started = self.platform.now().as_nanos();
        let mut last = self.first_look();
        let patience = self.platform.timeout_seconds() * 1_000_000_000;
        loop {
            let done = condition();
            let now = self.look_again(&mut last);
            if done {
                return;
            }
            if now.saturating_sub(started) >= patience {
                let order = self.shared.order.word();
                self.platform.give_up(format_args!(
                    "CPU {} waited {} s for {what} in a soak (order {order:#x}, flush {})",
                    self.me,
                    patience / 1_000_000_000,
                    self.shared.flushes.load(Ordering::Relaxed),
                ));
            }
            self.platform.relax();
        }
    }

    /// Notes a failure, unless there was one before.
    pub(crate) fn fail(&self, kind: Kind, place: (Space, u16), expected: u64, found: u64) {
        let doing = Doing::of(self.shared.doing.load(Ordering::Relaxed));
        let doing = doing.unwrap_or(Doing::Counter(0));
        self.fail_as(kind, doing, self.me, place, expected, found);
    }

    pub(crate) fn fail_as(
        &self,
        kind: Kind,
        doing: Doing,
        cpu: u32,
        (space, page): (Space, u16),
        expected: u64,
        found: u64,
    ) {
        if kind.is_stale() {
            add(&self.shared.tally.stale, 1);
        }
        self.shared.failure.set(&Failure {
            kind,
            cpu,
            space,
            page,
            expected,
            found,
            flush: self.shared.flushes.load(Ordering::Relaxed),
            doing,
        });
    }

    /// Adds this CPU's own counts to those of all.
    pub(crate) fn settle_counts(&self) {
        add(&self.shared.tally.accesses, self.accesses.take());
    }
}
