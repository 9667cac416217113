//! How long a wait has lasted, on a clock that may be wrong.

use core::time::Duration;

use crate::machine::Instant;

/// The time that a wait has lasted for the CPU that waits.
///
/// Time counts only from look to look, and each look counts for a part of the limit at most. So a
/// clock that jumps ahead, or a CPU that was not run for a while, uses up no deadline by itself; a
/// clock that goes back costs the time since the last look; and when the clock stands still the
/// number of looks is what ends the wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    /// When the last look was, in nanoseconds.
    last: u64,
    elapsed: u64,
    /// A look after less time than this may be [skipped](Timer::may_skip).
    grain: u64,
    still: u32,
    skipped: u8,
    has_begun: bool,
}

/// One look counts for at most this part of the limit.
const PARTS: u64 = 16;

/// Looks may be skipped for this part of the limit.
const GRAINS: u64 = 64;

/// As many looks in a row may be skipped.
const MAX_SKIPPED: u8 = 63;

/// After this many looks at which the clock has not moved, the wait is over: some tenths of a
/// second with a `PAUSE` each.
const MAX_LOOKS_WITHOUT_TIME: u32 = 1 << 22;

impl Timer {
    /// Counts the time since the last look; returns whether more than `limit` has passed in all.
    pub(crate) fn is_past(&mut self, now: Instant, limit: Duration) -> bool {
        let limit = nanoseconds(limit);
        let now = now.as_nanos();
        let step = if self.has_begun {
            now.saturating_sub(self.last)
        } else {
            0
        };
        let skipped = u32::from(self.skipped);
        if step == 0 {
            self.still = self.still.saturating_add(skipped + 1);
        } else {
            self.still = 0;
            self.elapsed = self.elapsed.saturating_add(step.min(limit / PARTS + 1));
        }
        (self.last, self.has_begun, self.skipped) = (now, true, 0);
        self.grain = limit / GRAINS;
        self.elapsed > limit || self.still > MAX_LOOKS_WITHOUT_TIME
    }

    /// Returns whether this look may count no time, since the last one that did was right before
    /// it: the next one counts for both.
    #[inline]
    pub(crate) fn may_skip(&mut self, now: Instant) -> bool {
        let is_early = now.as_nanos().wrapping_sub(self.last) < self.grain;
        let may_skip = is_early && self.skipped < MAX_SKIPPED;
        self.skipped += u8::from(may_skip);
        may_skip
    }

    /// Returns whether more than `limit` had passed at the last look.
    pub(crate) fn was_past(&self, limit: Duration) -> bool {
        self.elapsed > nanoseconds(limit)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    extern crate std;
    use std::boxed::Box;

    use super::*;

    const LIMIT: Duration = Duration::from_nanos(1600);

    fn looks(mut clock: impl FnMut(u64) -> u64) -> u64 {
        let mut timer = Timer::default();
        (0..)
            .find(|look| timer.is_past(Instant::from_nanos(clock(*look)), LIMIT))
            .unwrap()
    }

    #[test]
    fn an_even_clock_ends_the_wait_at_the_limit() {
        assert_eq!(looks(|look| look * 10), 161);
    }

    #[test]
    fn looks_that_are_skipped_end_no_wait_later() {
        let with_skips = |mut clock: Box<dyn FnMut(u64) -> u64>| {
            let mut timer = Timer::default();
            let mut counted = 0;
            let look = (0..).find(|look| {
                let now = Instant::from_nanos(clock(*look));
                if timer.may_skip(now) {
                    return false;
                }
                counted += 1;
                timer.is_past(now, LIMIT)
            });
            (look.unwrap(), counted)
        };
        // A step of a 64th of the limit.
        let (look, counted) = with_skips(Box::new(|look| look * 5));
        assert!(
            (321..326).contains(&look) && counted < 70,
            "{look} {counted}"
        );
        let (look, counted) = with_skips(Box::new(|_| 7));
        let limit = u64::from(MAX_LOOKS_WITHOUT_TIME);
        assert!((limit..limit + 65).contains(&look), "{look} {counted}");
        assert!(counted < limit / 60, "{counted}");
        // A clock that goes back skips nothing.
        let (look, counted) = with_skips(Box::new(|look| u64::MAX / 2 - look));
        assert_eq!((look, counted), (limit, limit + 1));
    }

    #[test]
    fn one_jump_ahead_counts_for_a_sixteenth() {
        assert_eq!(
            looks(|look| look * 10 + if look > 5 { 1 << 40 } else { 0 }),
            151
        );
    }

    #[test]
    fn a_clock_that_does_nothing_but_jump_gets_sixteen_looks() {
        assert_eq!(looks(|look| look << 40), 16);
    }

    #[test]
    fn a_step_back_loses_only_itself() {
        assert_eq!(
            looks(|look| if look < 50 {
                (1 << 40) | (look * 10)
            } else {
                look * 10
            }),
            162
        );
    }

    #[test]
    fn a_clock_that_stands_still_ends_the_wait_by_looks() {
        assert_eq!(looks(|_| 7), u64::from(MAX_LOOKS_WITHOUT_TIME));
    }
}
