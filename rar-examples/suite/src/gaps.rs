//! Gaps: time that a CPU lost while it waited.
//!
//! A CPU that waits reads its clock in each turn of its loop. A turn takes less than a microsecond,
//! and a few tens of them where a thousand CPUs read one cache line. If more than
//! [`Platform::gap_bound`] lies between two turns, the CPU did not run meanwhile: firmware had it
//! (an SMI), or a hypervisor had given its processor to somebody else. Handlers of the kernel are
//! no gap ([`Platform::detours`]).

use core::sync::atomic::{AtomicU64, Ordering};

use rar_shootdown::Instant;
use rar_vocabulary::Disturbances;

use crate::platform::Platform;

/// The gaps of all CPUs.
#[derive(Debug)]
pub(crate) struct Gaps {
    count: AtomicU64,
    /// The longest of the test, and of the point that is measured, in nanoseconds.
    longest: [AtomicU64; 2],
}

/// For how long the longest gap is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// From the beginning of an attempt at a test.
    Test = 0,
    /// From the beginning of a point of the measurements.
    Point = 1,
}

impl Gaps {
    pub(crate) const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            longest: [const { AtomicU64::new(0) }; 2],
        }
    }

    /// A test or a point begins.
    pub(crate) fn begin(&self, span: Span) {
        let [test, point] = &self.longest;
        point.store(0, Ordering::Relaxed);
        if span == Span::Test {
            test.store(0, Ordering::Relaxed);
        }
    }

    fn note(&self, nanoseconds: u64) {
        for longest in &self.longest {
            longest.fetch_max(nanoseconds, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Adds the gaps to other disturbances: those that there ever were, and the longest of a span.
    pub(crate) fn add_to(&self, others: Disturbances, span: Span) -> Disturbances {
        let [test, point] = &self.longest;
        let longest = match span {
            Span::Test => test,
            Span::Point => point,
        };
        Disturbances {
            gaps: self.count.load(Ordering::Acquire),
            longest_gap: longest.load(Ordering::Relaxed).div_ceil(1_000),
            ..others
        }
    }
}

/// Returns what came between two counts of all disturbances.
pub(crate) const fn between(before: &Disturbances, after: &Disturbances) -> Disturbances {
    let gaps = after.gaps - before.gaps;
    Disturbances {
        // A platform may read its counts one after the other.
        nmis: after.nmis.saturating_sub(before.nmis),
        strays: after.strays.saturating_sub(before.strays),
        gaps,
        longest_gap: if gaps == 0 { 0 } else { after.longest_gap },
    }
}

/// Watches a CPU that waits.
pub(crate) struct GapWatch<'w, L> {
    platform: &'w L,
    gaps: &'w Gaps,
    turn: Turn,
}

impl<'w, L: Platform> GapWatch<'w, L> {
    pub(crate) fn begin(platform: &'w L, gaps: &'w Gaps) -> Self {
        Self {
            platform,
            gaps,
            turn: Turn::take(|| platform.detours(), || platform.now()),
        }
    }

    /// Returns when the last turn was.
    pub(crate) const fn last(&self) -> Instant {
        self.turn.at
    }

    /// Returns the time, once in each turn of the loop.
    pub(crate) fn now(&mut self) -> Instant {
        let platform = self.platform;
        let turn = Turn::take(|| platform.detours(), || platform.now());
        let lost = turn.lost_since(&self.turn);
        self.turn = turn;
        if u128::from(lost) > platform.gap_bound().as_nanos() {
            self.gaps.note(lost);
        }
        turn.at
    }
}

/// One turn of a loop that waits.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// The detours of the CPU before it looked at its clock, and after. An interrupt may come
    /// between the two looks.
    detours: [u64; 2],
    at: Instant,
}

impl Turn {
    fn take(detours: impl Fn() -> u64, now: impl FnOnce() -> Instant) -> Self {
        let before = detours();
        let at = now();
        Self {
            detours: [before, detours()],
            at,
        }
    }

    /// Returns the nanoseconds since the last turn; 0 if the CPU may have made a detour meanwhile.
    fn lost_since(&self, last: &Self) -> u64 {
        let ([before, _], [_, after]) = (last.detours, self.detours);
        if before == after {
            self.at.as_nanos().saturating_sub(last.at.as_nanos())
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn a_handler_is_no_gap_whenever_it_comes() {
        // At each look at the detours or at the clock, before it and after it.
        for moment in 0..12_u32 {
            let (moments, detours, time) = (Cell::new(0), Cell::new(0), Cell::new(0));
            let handle = || {
                if moments.replace(moments.get() + 1) == moment {
                    detours.set(detours.get() + 1);
                    time.set(time.get() + 1_000_000);
                }
            };
            let look = |value: &Cell<u64>| {
                handle();
                let seen = value.get();
                handle();
                seen
            };
            let turn = || {
                let now = || Instant::from_nanos(look(&time));
                Turn::take(|| look(&detours), now)
            };
            let (first, second) = (turn(), turn());
            assert_eq!(second.lost_since(&first), 0, "{moment}");
            assert_eq!(turn().lost_since(&second), 0, "{moment}");
        }
    }

    #[test]
    fn time_without_a_detour_is_lost() {
        let time = Cell::new(5);
        let turn = || Turn::take(|| 3, || Instant::from_nanos(time.get()));
        let first = turn();
        time.set(9);
        assert_eq!(turn().lost_since(&first), 4);
    }

    #[test]
    fn a_span_has_its_own_longest_gap() {
        let gaps = Gaps::new();
        let seen = |span| gaps.add_to(Disturbances::NONE, span);
        gaps.begin(Span::Test);
        let before = seen(Span::Test);
        gaps.note(5_000_001);
        gaps.begin(Span::Point);
        gaps.note(7_000);
        let (test, point) = (seen(Span::Test), seen(Span::Point));
        assert_eq!((test.gaps, test.longest_gap), (2, 5_001));
        assert_eq!(point.longest_gap, 7);
        assert_eq!(between(&before, &test), test);
        assert_eq!(between(&test, &test), Disturbances::NONE);
        gaps.begin(Span::Test);
        assert_eq!(seen(Span::Test).longest_gap, 0);
    }
}
