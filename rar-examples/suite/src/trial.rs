//! One run of one test, as one CPU sees it.

use core::cell::Cell;
use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU64, Ordering, fence};

use rar_payload::{PageRange, PageSize, Request};
use rar_percpu::{AtomicCpuSet, CpuId};
use rar_shootdown::{Instant, Machine as _};

use crate::catalogue::Test;
use crate::failure::{Assertion, Place};
use crate::lab::{Access, Asked, Frame, Hearing, Lab, Mapping, Page, Reach, Space};
use crate::raw;
use crate::suite::{Options, Suite, Why};
use crate::witness::Sent;

/// Who takes part in a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// Every CPU.
    All,
    /// The CPU that initiates the flush of this run.
    Initiator,
    /// Every CPU but the initiator.
    Others,
}

/// One run of one test, as one CPU sees it: every CPU has its own, and all go through the same steps.
pub(crate) struct Trial<'a, L> {
    pub(crate) suite: &'a Suite,
    pub(crate) lab: &'a L,
    pub(crate) name: &'static str,
    pub(crate) me: u32,
    pub(crate) initiator: u32,
    pub(crate) storm_flushes: u64,
    pub(crate) samples: u32,
    phase: Cell<u64>,
    space: Cell<Space>,
    /// Whether the test uses units in place of the driver.
    below: bool,
    /// What the driver had sent before the test.
    sent: Cell<Sent>,
    /// How often the driver had flushed this CPU's TLB when the step began.
    flushes: Cell<u64>,
    /// How often the driver had flushed all of it at the last control.
    whole: Cell<Option<u64>>,
    observation: Cell<Why>,
}

/// The CPUs that have not come to the barrier before which this one waits.
struct Behind<'t, 'a, L>(&'t Trial<'a, L>);

impl<L: Lab> fmt::Display for Behind<'_, '_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trial, here) = (self.0, self.0.phase.get());
        let phases = trial.suite.phases.iter().zip(0..trial.lab.cpus());
        let mut before = "; not there:";
        for (_, cpu) in phases.filter(|(phase, _)| phase.load(Ordering::Relaxed) < here) {
            write!(f, "{before} CPU {cpu}")?;
            before = ",";
        }
        Ok(())
    }
}

impl<'a, L: Lab> Trial<'a, L> {
    pub(crate) fn new(
        suite: &'a Suite,
        lab: &'a L,
        test: &Test<L>,
        me: u32,
        initiator: u32,
        options: &Options<'_>,
        phase: u64,
    ) -> Self {
        Self {
            suite,
            lab,
            name: test.name,
            me,
            initiator,
            storm_flushes: options.storm_flushes,
            samples: options.samples(),
            phase: Cell::new(phase),
            space: Cell::new(Space::First),
            below: test.units.is_some(),
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
        self.lab.set_hearing(Hearing::Both);
        self.lab.enable_interrupts();
        self.enter(Space::First);
        // A test that failed may have left this CPU lazy or demoted, an entry unanswered, or a slot in quarantine.
        let (cpu, shootdown) = (self.lab.pin(), self.lab.shootdown());
        let _left = shootdown
            .domain()
            .leave_lazy(&cpu, shootdown.machine().tlb());
        let _served = shootdown.serve(&cpu);
        if self.is_demoted() {
            self.lab.verify_unit();
        }
        self.sent.set(self.lab.witness().sent());
        raw::remove(&self.suite.chosen, CpuId::new(self.me));
        if let Some(published) = self.suite.published.get(self.me as usize) {
            published.store(0, Ordering::Relaxed);
        }
        self.barrier();
        if self.is_initiator() {
            for word in &self.suite.words {
                word.store(0, Ordering::Relaxed);
            }
            self.suite.errand.store(0, Ordering::Relaxed);
            shootdown.domain().reclaim_slots();
        }
        self.lab.flush_own_tlb();
        self.barrier();
    }

    /// One step: those named do something, then all CPUs meet. Once an assertion has failed nobody does anything any more.
    pub(crate) fn step(&self, who: Who, action: impl FnOnce()) {
        let takes_part = match who {
            Who::All => true,
            Who::Initiator => self.is_initiator(),
            Who::Others => !self.is_initiator(),
        };
        self.flushes.set(self.driver_flushes(self.me));
        if takes_part && !self.suite.failure.is_set() {
            action();
        }
        self.barrier();
    }

    /// Waits until all CPUs have come here.
    pub(crate) fn barrier(&self) {
        let phase = self.phase.get() + 1;
        self.phase.set(phase);
        if let Some(mine) = self.suite.phases.get(self.me as usize) {
            mine.store(phase, Ordering::Relaxed);
        }
        self.suite.arrived.fetch_add(1, Ordering::AcqRel);
        let all = phase * u64::from(self.lab.cpus());
        self.wait_until("a barrier", || {
            self.suite.arrived.load(Ordering::Acquire) >= all
        });
    }

    /// Waits for a condition that other CPUs bring about. Ends the machine if they do not.
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let started = self.lab.now();
        let seconds = self.lab.patience_seconds();
        while !condition() {
            if milliseconds_between(started, self.lab.now()) >= 1_000 * seconds {
                self.lab.give_up(format_args!(
                    "CPU {} waited {seconds} s for {what} in test {} (initiator {}){}",
                    self.me,
                    self.name,
                    self.initiator,
                    Behind(self)
                ));
            }
            self.lab.relax();
        }
    }

    pub(crate) fn is_initiator(&self) -> bool {
        self.me == self.initiator
    }

    /// Whether the driver has given this CPU's unit up and flushes the CPU by generation.
    pub(crate) fn is_demoted(&self) -> bool {
        let domain = self.lab.shootdown().domain();
        domain
            .cpu(CpuId::new(self.me))
            .is_some_and(|state| state.generation().is_demoted())
    }

    /// How far this CPU is from the initiator, counted upwards and around: 0 for the initiator.
    pub(crate) fn distance(&self) -> u32 {
        (self.me + self.lab.cpus() - self.initiator) % self.lab.cpus()
    }

    pub(crate) fn word(&self, index: usize) -> &'a AtomicU64 {
        #[expect(
            clippy::indexing_slicing,
            reason = "tests name words by small constants"
        )]
        &self.suite.words[index]
    }

    pub(crate) fn published(&self, cpu: u32) -> &'a AtomicU64 {
        #[expect(
            clippy::indexing_slicing,
            reason = "a CPU takes part, so it is below MAX_CPUS"
        )]
        &self.suite.published[cpu as usize]
    }

    pub(crate) fn fail(&self, assertion: Assertion, place: Place, expected: u64, found: u64) {
        self.suite
            .failure
            .set(assertion, self.me, place, expected, found);
    }

    pub(crate) fn assert(&self, assertion: Assertion, place: Place, expected: u64, found: u64) {
        if assertion == Assertion::Mapped {
            self.note_cached();
        }
        if expected == found {
            return;
        }
        if assertion == Assertion::Control {
            self.fail_control(self.me, place, expected, found);
        } else {
            self.fail(assertion, place, expected, found);
        }
    }

    /// From the beginning of this step on, nothing that the driver does may take away what this CPU caches, until the control.
    pub(crate) fn note_cached(&self) {
        if let Some(cached) = self.suite.cached.get(self.me as usize) {
            cached.store(self.flushes.get(), Ordering::Release);
        }
    }

    /// The control was not seen on a CPU. A TLB may drop what it likes, but the driver may not: that is no excuse.
    pub(crate) fn fail_control(&self, cpu: u32, place: Place, expected: u64, found: u64) {
        let cached = self.suite.cached.get(cpu as usize);
        let cached = cached.map_or(0, |cached| cached.load(Ordering::Acquire));
        let assertion = if self.below || self.driver_flushes(cpu) == cached {
            Assertion::Control
        } else {
            Assertion::Unasked
        };
        self.fail(assertion, place, expected, found);
    }

    /// Something has taken away what this CPU had cached: asserts that it was not the driver.
    pub(crate) fn blame_driver(&self, page: Page) {
        let cached = self.suite.cached.get(self.me as usize);
        let cached = cached.map_or(0, |cached| cached.load(Ordering::Acquire));
        let flushes = self.driver_flushes(self.me);
        self.assert(Assertion::Unasked, Place::At(page), cached, flushes);
    }

    fn driver_flushes(&self, cpu: u32) -> u64 {
        self.lab.witness().flushes_of(CpuId::new(cpu))
    }

    fn whole_flushes(&self) -> u64 {
        self.lab.witness().whole_flushes_of(CpuId::new(self.me))
    }

    /// Ends the test with an observation in place of a verdict, if no assertion fails; more of them stand one after the other.
    ///
    /// The initiator's word counts: what another CPU sees it has to publish.
    pub(crate) fn observe(&self, what: fmt::Arguments<'_>) {
        let mut text = self.take_observation();
        let between = if text.as_str().is_empty() { "" } else { "; " };
        // What does not fit is cut off.
        let _ = write!(text, "{between}{what}");
        self.observation.set(text);
    }

    pub(crate) fn take_observation(&self) -> Why {
        self.observation.replace(Why::new())
    }

    /// This CPU runs in the space from here on, is in its set, and in no other.
    pub(crate) fn enter(&self, space: Space) {
        let me = CpuId::new(self.me);
        // The suite runs on fewer CPUs than a set can name.
        let _fits = self.suite.set(space).insert(me);
        fence(Ordering::SeqCst);
        self.lab.enter(space);
        self.lab.flush_own_tlb();
        for other in [Space::First, Space::Second]
            .into_iter()
            .filter(|other| *other != space)
        {
            raw::remove(self.suite.set(other), me);
        }
        self.space.set(space);
    }

    /// Maps a page of the first space, writable, to a frame.
    pub(crate) fn map(&self, page: Page, frame: Frame) {
        self.map_as(page, frame, Access::Write, Reach::Space);
    }

    pub(crate) fn map_as(&self, page: Page, frame: Frame, access: Access, reach: Reach) {
        self.lab.map(
            Space::First,
            page,
            Some(Mapping {
                frame,
                access,
                reach,
            }),
        );
    }

    /// Loads a page, asserts its value.
    pub(crate) fn expect(&self, assertion: Assertion, page: Page, value: u64) {
        // A fault reads as no value that a test uses.
        let found = self.lab.load(page, 0).unwrap_or(u64::MAX);
        self.assert(assertion, Place::At(page), value, found);
    }

    /// Asserts that a page was left alone: its old translation is still used, or no record of a flush names it. And the driver has not emptied
    /// this CPU's TLB since the control, which no load may show where more leaves it than that.
    pub(crate) fn expect_kept(&self, page: Page, value: u64) {
        if let Some(before) = self.whole.get() {
            let at = Place::At(page);
            self.assert(Assertion::Unasked, at, before, self.whole_flushes());
        }
        match self.lab.asked_to_flush(page) {
            Some(asked) => self.assert(
                Assertion::Precise,
                Place::At(page),
                Asked::No as u64,
                asked as u64,
            ),
            None => self.expect(Assertion::Precise, page, value),
        }
    }

    /// As [`expect_kept`](Self::expect_kept) on a CPU that has just flushed other pages; an observation where instructions take more than those.
    pub(crate) fn expect_spared(&self, page: Page, value: u64) {
        if self.lab.spares_neighbours() || self.lab.asked_to_flush(page).is_some() {
            return self.expect_kept(page, value);
        }
        let seen = self.take_observation();
        let is_first = seen.as_str().is_empty();
        self.observation.set(seen);
        if is_first {
            self.observe(format_args!(
                "this processor's own instruction drops more than the page it names: what is spared cannot be seen"
            ));
        }
    }

    /// Asserts that a page was flushed on this CPU by its unit: its new translation is used, and a record names it.
    pub(crate) fn expect_gone(&self, page: Page, value: u64) {
        self.expect(Assertion::Flushed, page, value);
        self.expect_asked(page);
    }

    /// Asserts that the record of this CPU's unit, if there is one, names a page.
    pub(crate) fn expect_asked(&self, page: Page) {
        if let Some(asked) = self.lab.asked_to_flush(page) {
            self.assert(
                Assertion::Once,
                Place::At(page),
                Asked::Yes as u64,
                asked as u64,
            );
        }
    }

    /// Asserts that a flush by the driver reached a page.
    pub(crate) fn expect_flushed(&self, page: Page, value: u64) {
        self.expect(Assertion::Flushed, page, value);
        self.expect_signalled(page);
    }

    /// Asserts that the signal flushed a page on this CPU, where a record can tell. The initiator flushes by an instruction; and if the machine
    /// saw a flush made by other means, the run says so at its end.
    pub(crate) fn expect_signalled(&self, page: Page) {
        let sent = self.lab.witness().sent().since(self.sent.get());
        if !self.is_initiator() && sent.interrupts == 0 {
            self.expect_asked(page);
        }
    }

    /// The positive control: this CPU must still read the old value though the entry leads to the new one.
    pub(crate) fn expect_stale(&self, page: Page, old: u64, new: u64) {
        self.whole.set(Some(self.whole_flushes()));
        let found = self.lab.load(page, 0).unwrap_or(u64::MAX);
        self.suite.control(self.me, found, new);
        self.assert(Assertion::Control, Place::At(page), old, found);
    }

    /// Pages of the first space, by number.
    pub(crate) fn pages(&self, first: u16, count: u16) -> Request {
        let pcid = self.lab.pcid(Space::First);
        match self.range(Page::Small(first), u64::from(count), PageSize::Size4K) {
            Some(range) => Request::Pages { pcid, range },
            None => self.whole_space(),
        }
    }

    /// Some pages as a request names them; that they cannot be named is a failure.
    pub(crate) fn range(&self, first: Page, count: u64, size: PageSize) -> Option<PageRange> {
        let range = PageRange::new(self.lab.address(first), count, size).ok();
        if range.is_none() {
            self.fail(Assertion::Named, Place::At(first), count, 0);
        }
        range
    }

    pub(crate) fn whole_space(&self) -> Request {
        Request::AddressSpace {
            pcid: self.lab.pcid(Space::First),
        }
    }

    /// Flushes on the CPUs of the first space, and asserts that it ends well.
    pub(crate) fn flush(&self, request: Request) {
        self.flush_on(request, &self.suite.first);
    }

    pub(crate) fn flush_on(&self, request: Request, targets: &AtomicCpuSet) {
        self.flush_all(&[request], targets);
    }

    /// Flushes several requests under one signal.
    pub(crate) fn flush_all(&self, requests: &[Request], targets: &AtomicCpuSet) {
        self.suite.flushes.fetch_add(1, Ordering::Relaxed);
        let cpu = self.lab.pin();
        if self.lab.shootdown().flush(&cpu, requests, targets).is_err() {
            self.fail(Assertion::FlushEnds, Place::Number(0), 0, 1);
        }
    }
}

/// How many milliseconds have passed.
pub(crate) fn milliseconds_between(from: Instant, to: Instant) -> u64 {
    to.as_nanos().saturating_sub(from.as_nanos()) / 1_000_000
}

/// The value in the frame that a page leads to before a test changes its entry.
pub(crate) fn old_value(page: u16) -> u64 {
    0x01d0_0000 + u64::from(page)
}

/// The value in the frame that a page leads to after a test has changed its entry.
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
