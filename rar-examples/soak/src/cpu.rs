//! One CPU of a soak: its place in a space, its barriers and waits.

use core::cell::Cell;
use core::sync::atomic::{Ordering, fence};

use rar_percpu::CpuId;
use rar_shootdown::Machine as _;
use rar_suite::{Platform, Space};

use crate::doing::Doing;
use crate::failure::{Failure, Kind};
use crate::layout::{SPACES, index};
use crate::raw;
use crate::shared::{Post, Shared};
use crate::tally::add;

/// One CPU of a soak.
pub(crate) struct Cpu<'a, L> {
    pub(crate) shared: &'a Shared,
    pub(crate) platform: &'a L,
    pub(crate) me: u32,
    space: Cell<Space>,
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

    /// Runs in a space from here on: joins its set, loads CR3, and only then leaves the other set.
    pub(crate) fn enter(&self, space: Space) {
        let me = CpuId::new(self.me);
        // A soak runs on fewer CPUs than a set can name.
        let _fits = self.shared.set(space).insert(me);
        fence(Ordering::SeqCst);
        self.platform.enter(space);
        for left in SPACES.into_iter().filter(|left| *left != space) {
            raw::leave(self.shared.set(left), me);
        }
        self.space.set(space);
        let number = u32::try_from(index(space)).unwrap_or(0);
        self.post().space.store(number, Ordering::Relaxed);
    }

    pub(crate) fn enter_lazy(&self) {
        raw::enter_lazy(self.platform.shootdown().domain(), &self.platform.pin());
        self.is_lazy.set(true);
        add(&self.shared.tally.lazy, 1);
    }

    pub(crate) fn leave_lazy(&self) {
        if self.is_lazy.replace(false) {
            let shootdown = self.platform.shootdown();
            let tlb = shootdown.machine().tlb();
            let _left = shootdown.domain().leave_lazy(&self.platform.pin(), tlb);
        }
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
