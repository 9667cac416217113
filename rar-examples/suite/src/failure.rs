//! The first assertion that did not hold.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::platform::Page;

/// What was asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assertion {
    /// Before its entry is changed, a page reads what it is mapped to.
    Mapped,
    /// The positive control: after the entry was changed and before the flush, the old translation
    /// is still used.
    Control,
    /// After the flush the new translation is used.
    Flushed,
    /// A page that was not flushed is still served from the TLB.
    Precise,
    /// The driver makes no flush that was not requested, as its machine counts.
    Unasked,
    /// After the flush no store reaches the old frame.
    Frozen,
    /// After the flush a use of the page sets its A or D bit again.
    Recorded,
    /// The flush returned `Ok`.
    FlushEnds,
    /// The flush returned an error that names the silent CPU.
    FlushFails,
    /// A flush that is not answered ends at its deadline.
    Deadline,
    /// The value that the flush owns was not dropped before its end.
    StillOwned,
    /// The pages under test can be named in a request.
    Named,
    /// Events came in the asserted order.
    Order,
    /// A counter of the shootdown has the asserted value.
    Counter,
    /// The driver asked the machine for the expected numbers of signals and interrupts.
    Sent,
    /// A register of a RAR unit takes a legal value and keeps it.
    Register,
    /// A write that is not legal raises #GP.
    Refused,
    /// A RAR unit ends an entry with SUCCESS, in time, and with no other value.
    Answered,
    /// A RAR unit leaves an entry PENDING.
    Untouched,
    /// A RAR unit executes the entry as written, once.
    Once,
    /// A RAR unit finds an entry as it was when its signal arrived.
    AsAnnounced,
    /// A RAR unit serves a signal before its CPU has executed many instructions.
    Prompt,
    /// A register says the same on every CPU.
    Alike,
    /// The numbers of a measurement exist and are ordered.
    Measured,
    /// A guest runs to its end.
    GuestEnds,
    /// An NMI that a CPU sends to itself arrives.
    Arrived,
}

const ALL: &[(Assertion, &str)] = &[
    (Assertion::Mapped, "a mapped page reads its frame"),
    (
        Assertion::Control,
        "control: the stale translation is seen before the flush",
    ),
    (Assertion::Flushed, "no stale translation after the flush"),
    (
        Assertion::Precise,
        "what was not flushed is still served from the TLB",
    ),
    (Assertion::Unasked, "the driver flushes nothing unasked"),
    (
        Assertion::Frozen,
        "no store reaches the old frame after the flush",
    ),
    (
        Assertion::Recorded,
        "a use after the flush sets the cleared A or D bit",
    ),
    (Assertion::FlushEnds, "the flush ends with Ok"),
    (
        Assertion::FlushFails,
        "the flush ends with an error that names the silent CPU",
    ),
    (
        Assertion::Deadline,
        "a flush that is not answered ends at its deadline",
    ),
    (
        Assertion::StillOwned,
        "nothing the flush owns is freed before its end",
    ),
    (Assertion::Named, "the pages can be named in a request"),
    (Assertion::Order, "events come in order"),
    (
        Assertion::Counter,
        "the shootdown's counters are as expected",
    ),
    (
        Assertion::Sent,
        "the machine sends as many signals and interrupts as expected",
    ),
    (
        Assertion::Register,
        "the register of the unit holds what was written",
    ),
    (Assertion::Refused, "an illegal write raises #GP"),
    (
        Assertion::Answered,
        "the unit answers SUCCESS in time, and nothing else",
    ),
    (Assertion::Untouched, "the unit leaves the entry PENDING"),
    (Assertion::Once, "the unit executes once what was written"),
    (
        Assertion::AsAnnounced,
        "a late unit finds the payload as its signal announced it",
    ),
    (
        Assertion::Prompt,
        "the unit serves the signal without delay",
    ),
    (Assertion::Alike, "the register says the same on every CPU"),
    (Assertion::GuestEnds, "the guest runs to its end"),
    (
        Assertion::Measured,
        "the numbers of a measurement are there, and in order",
    ),
    (
        Assertion::Arrived,
        "the NMI that a CPU sends to itself comes",
    ),
];

/// Nothing was shown: no stale translation existed to be flushed, or the processor did not do what
/// the test assumes.
const IDLE: [Assertion; 3] = [Assertion::Control, Assertion::GuestEnds, Assertion::Arrived];
/// A stale translation outlived its flush.
const FATAL: [Assertion; 4] = [
    Assertion::Flushed,
    Assertion::Frozen,
    Assertion::Recorded,
    Assertion::StillOwned,
];

/// No interrupt can break these: it flushes more, or it leaves the register alone.
const STEADY: [Assertion; 7] = [
    Assertion::Flushed,
    Assertion::Frozen,
    Assertion::Recorded,
    Assertion::StillOwned,
    Assertion::Register,
    Assertion::Refused,
    Assertion::Alike,
];

/// A CPU that loses time can break these: it answers late, and what it does not do in time is done
/// by other means.
const TIMED: [Assertion; 12] = [
    Assertion::Precise,
    Assertion::Unasked,
    Assertion::FlushEnds,
    Assertion::FlushFails,
    Assertion::Deadline,
    Assertion::Order,
    Assertion::Counter,
    Assertion::Sent,
    Assertion::Answered,
    Assertion::Once,
    Assertion::AsAnnounced,
    Assertion::Prompt,
];

/// Returns whether the reason of a failure says that a stale use outlived its flush: the driver
/// reported an end too early.
#[must_use]
pub fn reports_stale_use(why: &str) -> bool {
    let mut texts = ALL.iter().filter(|(each, _)| FATAL.contains(each));
    texts.any(|(_, text)| why.starts_with(text))
}

/// Room for the first failure of a run; later ones are ignored.
#[derive(Debug)]
pub(crate) struct FirstFailure {
    taken: AtomicBool,
    /// Whether any failure, not only the first, is more than a missing control.
    shown: AtomicBool,
    /// Whether any failure is one that no interrupt can cause.
    steady: AtomicBool,
    /// Whether any failure is one that no loss of time can cause.
    timeless: AtomicBool,
    assertion: AtomicU32,
    cpu: AtomicU32,
    place: AtomicU32,
    expected: AtomicU64,
    found: AtomicU64,
}

/// Where an assertion failed, for the text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// At a page under test.
    At(Page),
    /// At something with a number: a CPU, a counter, a position.
    Number(u32),
}

impl FirstFailure {
    pub(crate) const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            shown: AtomicBool::new(false),
            steady: AtomicBool::new(false),
            timeless: AtomicBool::new(false),
            assertion: AtomicU32::new(0),
            cpu: AtomicU32::new(0),
            place: AtomicU32::new(0),
            expected: AtomicU64::new(0),
            found: AtomicU64::new(0),
        }
    }

    pub(crate) fn clear(&self) {
        self.shown.store(false, Ordering::Relaxed);
        self.steady.store(false, Ordering::Relaxed);
        self.timeless.store(false, Ordering::Relaxed);
        self.taken.store(false, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    /// Returns whether the run showed nothing: a control was not seen, and no other assertion
    /// failed.
    pub(crate) fn shows_nothing(&self) -> bool {
        self.is_set() && !self.shown.load(Ordering::Relaxed)
    }

    /// Returns whether an interrupt that no code asked for may have caused every failure there is.
    pub(crate) fn may_be_disturbed(&self) -> bool {
        !self.steady.load(Ordering::Relaxed)
    }

    /// Returns whether a CPU that lost time may have caused every failure there is.
    pub(crate) fn may_be_late(&self) -> bool {
        !self.timeless.load(Ordering::Relaxed)
    }

    pub(crate) fn set(
        &self,
        assertion: Assertion,
        cpu: u32,
        place: Place,
        expected: u64,
        found: u64,
    ) {
        if STEADY.contains(&assertion) {
            self.steady.store(true, Ordering::Relaxed);
        }
        if !IDLE.contains(&assertion) {
            self.shown.store(true, Ordering::Relaxed);
            if !TIMED.contains(&assertion) {
                self.timeless.store(true, Ordering::Relaxed);
            }
        }
        if self.taken.swap(true, Ordering::AcqRel) {
            return;
        }
        let number = ALL
            .iter()
            .zip(0..)
            .find(|((each, _), _)| *each == assertion)
            .map_or(0, |(_, number)| number);
        self.assertion.store(number, Ordering::Relaxed);
        self.cpu.store(cpu, Ordering::Relaxed);
        self.place.store(place.encode(), Ordering::Relaxed);
        self.expected.store(expected, Ordering::Relaxed);
        self.found.store(found, Ordering::Release);
    }
}

impl Place {
    const LARGE: u32 = 1 << 31;
    const PAGE: u32 = 1 << 30;

    fn encode(self) -> u32 {
        match self {
            Self::At(Page::Large) => Self::LARGE,
            Self::At(Page::Small(page)) => Self::PAGE | u32::from(page),
            Self::Number(number) => number,
        }
    }
}

/// One sentence that starts with the assertion. Read it after a barrier that the failing CPU has
/// passed.
impl fmt::Display for FirstFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.assertion.load(Ordering::Relaxed) as usize;
        let text = ALL
            .get(number)
            .map_or("unknown assertion", |(_, text)| text);
        let cpu = self.cpu.load(Ordering::Relaxed);
        let place = self.place.load(Ordering::Relaxed);
        let (expected, found) = (
            self.expected.load(Ordering::Relaxed),
            self.found.load(Ordering::Relaxed),
        );
        write!(f, "{text}: CPU {cpu}, ")?;
        match place {
            Place::LARGE => write!(f, "the 2 MiB page")?,
            place if place & Place::PAGE != 0 => write!(f, "page {}", place & !Place::PAGE)?,
            number => write!(f, "number {number}")?,
        }
        write!(f, ": expected {expected:#x}, found {found:#x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_use_is_never_the_doing_of_a_disturbance() {
        let failure = FirstFailure::new();
        failure.set(Assertion::FlushFails, 1, Place::Number(1), 1, 0);
        assert!(failure.may_be_disturbed());
        failure.set(Assertion::Flushed, 1, Place::Number(1), 1, 0);
        assert!(!failure.may_be_disturbed());
        failure.clear();
        assert!(failure.may_be_disturbed());
        for fatal in FATAL {
            assert!(STEADY.contains(&fatal));
        }
    }

    #[test]
    fn a_late_cpu_breaks_only_what_waits_for_it() {
        let failure = FirstFailure::new();
        for assertion in [Assertion::Control, Assertion::FlushEnds] {
            failure.set(assertion, 1, Place::Number(1), 1, 0);
            assert!(failure.may_be_late());
        }
        failure.set(Assertion::Mapped, 1, Place::Number(1), 1, 0);
        assert!(!failure.may_be_late() && failure.may_be_disturbed());
        failure.clear();
        assert!(failure.may_be_late());
        assert!(STEADY.iter().all(|steady| !TIMED.contains(steady)));
    }

    #[test]
    fn a_missing_control_shows_nothing_unless_something_else_failed() {
        let after = |assertions: &[Assertion]| {
            let failure = FirstFailure::new();
            for assertion in assertions {
                failure.set(*assertion, 1, Place::Number(2), 3, 4);
            }
            failure
        };
        assert!(!after(&[]).shows_nothing());
        assert!(after(&[Assertion::Control, Assertion::Control]).shows_nothing());
        for (assertion, _) in ALL {
            let idle = IDLE.contains(assertion);
            assert_eq!(
                after(&[Assertion::Control, *assertion]).shows_nothing(),
                idle
            );
            assert_eq!(
                after(&[*assertion, Assertion::Control]).shows_nothing(),
                idle
            );
        }
        let cleared = after(&[Assertion::Flushed]);
        cleared.clear();
        cleared.set(Assertion::Control, 1, Place::Number(2), 3, 4);
        assert!(cleared.shows_nothing());
    }
}
