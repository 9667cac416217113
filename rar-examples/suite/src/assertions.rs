//! What a test asserts, and what it observes.

use core::fmt::{self, Write as _};
use core::sync::atomic::Ordering;

use rar_percpu::CpuId;

use crate::failure::{Assertion, Place};
use crate::platform::{Page, Platform};
use crate::test_run::{Subject, TestRun};
use crate::unit_record::Asked;
use crate::why::Why;

impl<L: Platform> TestRun<'_, L> {
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

    /// From the start of this step until the control, the driver must not evict what this CPU
    /// caches.
    pub(crate) fn note_cached(&self) {
        if let Some(cached) = self.shared.cached.get(self.me as usize) {
            cached.store(self.flushes.get(), Ordering::Release);
        }
    }

    /// Fails the control of a CPU. A TLB may evict at any time, which excuses the missing control;
    /// a flush by the driver does not.
    pub(crate) fn fail_control(&self, cpu: u32, place: Place, expected: u64, found: u64) {
        let cached = self.shared.cached.get(cpu as usize);
        let cached = cached.map_or(0, |cached| cached.load(Ordering::Acquire));
        let assertion = if self.subject == Subject::Units || self.driver_flushes(cpu) == cached {
            Assertion::Control
        } else {
            Assertion::Unasked
        };
        self.fail(assertion, place, expected, found);
    }

    /// Asserts that the driver did not evict what this CPU had cached.
    pub(crate) fn blame_driver(&self, page: Page) {
        let cached = self.shared.cached.get(self.me as usize);
        let cached = cached.map_or(0, |cached| cached.load(Ordering::Acquire));
        let flushes = self.driver_flushes(self.me);
        self.assert(Assertion::Unasked, Place::At(page), cached, flushes);
    }

    fn whole_flushes(&self) -> u64 {
        self.platform
            .witness()
            .whole_flushes_of(CpuId::new(self.me))
    }

    /// Ends the test with an observation instead of a verdict, if no assertion fails. Several
    /// observations are joined.
    ///
    /// Only the initiator's observations count: another CPU publishes what it sees.
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

    /// Loads a page and asserts its value.
    pub(crate) fn expect(&self, assertion: Assertion, page: Page, value: u64) {
        // A fault reads as no value that a test uses.
        let found = self.platform.load(page, 0).unwrap_or(u64::MAX);
        self.assert(assertion, Place::At(page), value, found);
    }

    /// Asserts that a page was not flushed: its old translation is still used, or no record of a
    /// flush names it. Also asserts that the driver has not emptied this CPU's TLB since the
    /// control, since on a TLB that evicts more no load may show that. An observation where a
    /// hypervisor empties the TLB.
    pub(crate) fn expect_kept(&self, page: Page, value: u64) {
        if let Some(before) = self.whole.get() {
            let at = Place::At(page);
            self.assert(Assertion::Unasked, at, before, self.whole_flushes());
        }
        match self.platform.asked_to_flush(page) {
            Some(asked) => self.assert(
                Assertion::Precise,
                Place::At(page),
                Asked::No as u64,
                asked as u64,
            ),
            None if self.platform.keeps_translations() => {
                self.expect(Assertion::Precise, page, value);
            }
            None => self.observe_first(format_args!(
                "a hypervisor empties this processor's TLB: what is kept cannot be seen"
            )),
        }
    }

    /// As [`expect_kept`](Self::expect_kept), on a CPU that has just flushed other pages. An
    /// observation where the instruction flushes more than those.
    pub(crate) fn expect_spared(&self, page: Page, value: u64) {
        if self.platform.spares_neighbours() || self.platform.asked_to_flush(page).is_some() {
            return self.expect_kept(page, value);
        }
        self.observe_first(format_args!(
            "this processor's own instruction drops more than the page it names: \
             what is spared cannot be seen"
        ));
    }

    /// Ends the test with this observation, unless it has another one.
    fn observe_first(&self, what: fmt::Arguments<'_>) {
        let seen = self.take_observation();
        let is_first = seen.as_str().is_empty();
        self.observation.set(seen);
        if is_first {
            self.observe(what);
        }
    }

    /// Asserts that a page was flushed on this CPU by its unit: its new translation is used, and a
    /// record names it.
    pub(crate) fn expect_gone(&self, page: Page, value: u64) {
        self.expect(Assertion::Flushed, page, value);
        self.expect_asked(page);
    }

    /// Asserts that the record of this CPU's unit, if there is one, names a page.
    pub(crate) fn expect_asked(&self, page: Page) {
        if let Some(asked) = self.platform.asked_to_flush(page) {
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

    /// Asserts that the signal flushed a page on this CPU, where a record shows it. The initiator
    /// flushes by an instruction. If the machine saw a flush by other means, the end of the run
    /// reports it.
    pub(crate) fn expect_signalled(&self, page: Page) {
        let sent = self.platform.witness().sent().since(self.sent.get());
        if !self.is_initiator() && sent.interrupts == 0 {
            self.expect_asked(page);
        }
    }

    /// The positive control: this CPU must still read the old value though the entry leads to the
    /// new one.
    pub(crate) fn expect_stale(&self, page: Page, old: u64, new: u64) {
        self.whole.set(Some(self.whole_flushes()));
        let found = self.platform.load(page, 0).unwrap_or(u64::MAX);
        self.shared.controls.take(self.me, found, new);
        self.assert(Assertion::Control, Place::At(page), old, found);
    }
}
