//! One run of one test, as one CPU sees it.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use core::time::Duration;

use rar_percpu::CpuId;
use rar_shootdown::{Instant, Machine as _};
use rar_vocabulary::Disturbances;

use crate::failure::{Assertion, Place};
use crate::gaps::{GapWatch, Span, between};
use crate::options::Options;
use crate::platform::{Access, DeafTo, Frame, Mapping, Page, Platform, Scope};
use crate::raw;
use crate::shared::Shared;
use crate::space::Space;
use crate::why::Why;
use crate::witness::Sent;

/// The least that a unit may take to answer.
const ANSWER: Duration = Duration::from_millis(200);
/// Without an answer in one of this many parts of the time for an answer, none comes.
const QUIET_SHARE: u64 = 10;

/// Which CPUs take part in a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Participants {
    /// Every CPU.
    All,
    /// The CPU that initiates the flush of this run.
    Initiator,
    /// Every CPU except the initiator.
    Others,
}

/// What a test acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The driver.
    Driver,
    /// RAR units, below the driver.
    Units,
}

/// The run of a test, and the CPU that takes part in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) test: &'static str,
    pub(crate) subject: Subject,
    pub(crate) me: u32,
    pub(crate) initiator: u32,
}

/// One run of one test, as one CPU sees it: every CPU has its own, and all go through the same
/// steps.
pub(crate) struct TestRun<'a, L> {
    pub(crate) shared: &'a Shared,
    pub(crate) platform: &'a L,
    pub(crate) name: &'static str,
    pub(crate) me: u32,
    pub(crate) initiator: u32,
    pub(crate) storm_flushes: u64,
    pub(crate) samples: u32,
    pub(crate) subject: Subject,
    phase: Cell<u64>,
    space: Cell<Space>,
    /// What the driver had sent before the test.
    pub(crate) sent: Cell<Sent>,
    /// How often the driver had flushed this CPU's TLB when the step began.
    pub(crate) flushes: Cell<u64>,
    /// How often the driver had flushed all of it at the last control.
    pub(crate) whole: Cell<Option<u64>>,
    pub(crate) observation: Cell<Why>,
}

/// The CPUs that have not reached the barrier at which this CPU waits.
struct Behind<'t, 'a, L>(&'t TestRun<'a, L>);

impl<L: Platform> fmt::Display for Behind<'_, '_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (run, here) = (self.0, self.0.phase.get());
        let phases = run.shared.phases.iter().zip(0..run.platform.cpus());
        let mut before = "; not there:";
        for (_, cpu) in phases.filter(|(phase, _)| phase.load(Ordering::Relaxed) < here) {
            write!(f, "{before} CPU {cpu}")?;
            before = ",";
        }
        Ok(())
    }
}

impl<'a, L: Platform> TestRun<'a, L> {
    pub(crate) fn new(
        shared: &'a Shared,
        platform: &'a L,
        seat: Seat,
        options: &Options<'_>,
        phase: u64,
    ) -> Self {
        Self {
            shared,
            platform,
            name: seat.test,
            me: seat.me,
            initiator: seat.initiator,
            subject: seat.subject,
            storm_flushes: options.storm_flushes,
            samples: options.samples(),
            phase: Cell::new(phase),
            space: Cell::new(Space::First),
            sent: Cell::new(Sent::default()),
            flushes: Cell::new(0),
            whole: Cell::new(None),
            observation: Cell::new(Why::new()),
        }
    }

    pub(crate) fn phase(&self) -> u64 {
        self.phase.get()
    }

    /// Puts this CPU into the state that every test begins with.
    pub(crate) fn settle(&self) {
        self.platform.set_deaf_to(DeafTo::Nothing);
        self.platform.forget_sent_nmis();
        self.platform.enable_interrupts();
        self.enter(Space::First);
        // A test that failed may have left this CPU lazy or demoted, an entry unanswered, or a slot
        // in quarantine.
        let (cpu, shootdown) = (self.platform.pin(), self.platform.shootdown());
        let _left = shootdown
            .domain()
            .leave_lazy(&cpu, shootdown.machine().tlb());
        let _served = shootdown.serve(&cpu);
        if shootdown.statistics().quarantined > 0 {
            // A unit that lost a signal answers it when it is verified, which this makes necessary.
            shootdown.domain().demote(cpu.id());
        }
        if self.is_demoted() {
            self.platform.verify_unit();
        }
        self.sent.set(self.platform.witness().sent());
        raw::remove(&self.shared.chosen, CpuId::new(self.me));
        if let Some(published) = self.shared.published.get(self.me as usize) {
            published.store(0, Ordering::Relaxed);
        }
        self.barrier();
        if self.is_initiator() {
            for word in &self.shared.words {
                word.store(0, Ordering::Relaxed);
            }
            self.shared.errand.store(0, Ordering::Relaxed);
            self.shared.gaps.begin(Span::Test);
            shootdown.domain().reclaim_slots();
        }
        self.platform.flush_own_tlb();
        self.barrier();
    }

    /// One step: the participants execute `action`, then all CPUs meet. After a failed assertion
    /// all further steps are skipped.
    pub(crate) fn step(&self, participants: Participants, action: impl FnOnce()) {
        let takes_part = match participants {
            Participants::All => true,
            Participants::Initiator => self.is_initiator(),
            Participants::Others => !self.is_initiator(),
        };
        self.flushes.set(self.driver_flushes(self.me));
        if takes_part && !self.shared.failure.is_set() {
            action();
        }
        self.barrier();
    }

    /// Waits until all CPUs have reached this barrier.
    pub(crate) fn barrier(&self) {
        let phase = self.phase.get() + 1;
        self.phase.set(phase);
        if let Some(mine) = self.shared.phases.get(self.me as usize) {
            mine.store(phase, Ordering::Relaxed);
        }
        self.shared.arrived.fetch_add(1, Ordering::AcqRel);
        let all = phase * u64::from(self.platform.cpus());
        self.wait_until("a barrier", || {
            self.shared.arrived.load(Ordering::Acquire) >= all
        });
    }

    /// Waits for a condition that other CPUs cause. Ends the run on a timeout.
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let mut watch = self.watch();
        let started = watch.last();
        let seconds = self.platform.timeout_seconds();
        while !condition() {
            if milliseconds_between(started, watch.now()) >= 1_000 * seconds {
                self.platform.give_up(format_args!(
                    "CPU {} waited {seconds} s for {what} in test {} (initiator {}){}",
                    self.me,
                    self.name,
                    self.initiator,
                    Behind(self)
                ));
            }
            self.platform.relax();
        }
        // The last turn may have been long.
        watch.now();
    }

    /// Has all CPUs empty their TLBs, so that what they cache from now on stays there until it is
    /// flushed. For pages that are mapped after the CPUs have done other things: an emulator may
    /// have made its TLB small meanwhile.
    pub(crate) fn empty_tlbs(&self) {
        self.step(Participants::All, || self.platform.flush_own_tlb());
    }

    /// Returns how long a unit may take to answer, in milliseconds: at least as long as the driver
    /// gives its targets, which get more where CPUs run in turns.
    pub(crate) fn answer_milliseconds(&self) -> u64 {
        let driver = self.platform.shootdown().policy().answer_timeout;
        ANSWER
            .max(driver)
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX)
    }

    /// Returns how long without an answer counts as never.
    pub(crate) fn quiet_milliseconds(&self) -> u64 {
        self.answer_milliseconds() / QUIET_SHARE
    }

    /// Returns what counts the gaps of this CPU while it waits.
    pub(crate) fn watch(&self) -> GapWatch<'a, L> {
        GapWatch::begin(self.platform, &self.shared.gaps)
    }

    /// Returns what came from outside so far, with the longest gap of a span.
    pub(crate) fn disturbances(&self, span: Span) -> Disturbances {
        let gaps = &self.shared.gaps;
        gaps.add_to(self.platform.disturbances(), span)
    }

    /// Returns what came from outside since then.
    pub(crate) fn disturbed_since(&self, before: &Disturbances, span: Span) -> Disturbances {
        between(before, &self.disturbances(span))
    }

    pub(crate) fn is_initiator(&self) -> bool {
        self.me == self.initiator
    }

    /// Whether the driver has demoted this CPU and flushes it by generation.
    pub(crate) fn is_demoted(&self) -> bool {
        let domain = self.platform.shootdown().domain();
        domain
            .cpu(CpuId::new(self.me))
            .is_some_and(|state| state.generation().is_demoted())
    }

    /// How far this CPU is from the initiator, counted upwards and around: 0 for the initiator.
    pub(crate) fn distance(&self) -> u32 {
        (self.me + self.platform.cpus() - self.initiator) % self.platform.cpus()
    }

    pub(crate) fn word(&self, index: usize) -> &'a AtomicU64 {
        #[expect(
            clippy::indexing_slicing,
            reason = "tests name words by small constants"
        )]
        &self.shared.words[index]
    }

    pub(crate) fn published(&self, cpu: u32) -> &'a AtomicU64 {
        #[expect(
            clippy::indexing_slicing,
            reason = "a CPU takes part, so it is below MAX_CPUS"
        )]
        &self.shared.published[cpu as usize]
    }

    /// Lets this CPU run in a space. It is then in the set of that space only.
    pub(crate) fn enter(&self, space: Space) {
        let me = CpuId::new(self.me);
        // The suite runs on fewer CPUs than a set can name.
        let _fits = self.shared.set(space).insert(me);
        fence(Ordering::SeqCst);
        self.platform.enter(space);
        self.platform.flush_own_tlb();
        for other in [Space::First, Space::Second]
            .into_iter()
            .filter(|other| *other != space)
        {
            raw::remove(self.shared.set(other), me);
        }
        self.space.set(space);
    }

    /// Maps a page of the first space, writable, to a frame.
    pub(crate) fn map(&self, page: Page, frame: Frame) {
        self.map_as(page, frame, Access::Write, Scope::Space);
    }

    pub(crate) fn map_as(&self, page: Page, frame: Frame, access: Access, scope: Scope) {
        self.platform.map(
            Space::First,
            page,
            Some(Mapping {
                frame,
                access,
                scope,
            }),
        );
    }

    pub(crate) fn fail(&self, assertion: Assertion, place: Place, expected: u64, found: u64) {
        self.shared
            .failure
            .set(assertion, self.me, place, expected, found);
    }

    pub(crate) fn driver_flushes(&self, cpu: u32) -> u64 {
        self.platform.witness().flushes_of(CpuId::new(cpu))
    }
}

/// Returns the milliseconds between two instants.
pub(crate) fn milliseconds_between(from: Instant, to: Instant) -> u64 {
    to.as_nanos().saturating_sub(from.as_nanos()) / 1_000_000
}

/// Returns the value in the frame of a page before a test changes its entry.
pub(crate) fn old_value(page: u16) -> u64 {
    0x01d0_0000 + u64::from(page)
}

/// Returns the value in the frame of a page after a test has changed its entry.
pub(crate) fn new_value(page: u16) -> u64 {
    0x0e30_0000 + u64::from(page)
}

/// The frame of a page before a test changes its entry.
pub(crate) fn old_frame(page: u16) -> Frame {
    Frame::Small(page)
}

/// The frame of a page after a test has changed its entry.
pub(crate) fn new_frame(page: u16) -> Frame {
    Frame::Small(1024 + page)
}
