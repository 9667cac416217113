//! How long a wait has lasted, on a clock that may be wrong.

use core::time::Duration;

use crate::machine::Instant;

/// The time that a wait has lasted for the CPU that waits.
///
/// Time counts only from look to look, and each look counts for a part of the limit at most. So a
/// clock that jumps ahead, or a CPU that was not run for a while, uses up no deadline by itself; a
/// clock that goes back costs the time since the last look. A look takes a nanosecond at least:
/// those for which the clock shows none are counted, and end the wait in the end. So a wait has a
/// bound in looks, [`MAX_LOOKS_WITHOUT_TIME`] and two for each nanosecond of the limit, whatever
/// the clock shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    /// When the last look was, in nanoseconds.
    last: u64,
    elapsed: u64,
    /// A look after less time than this may be [skipped](Timer::may_skip): 0 where none may.
    grain: u64,
    /// Looks, less the nanoseconds that the clock has shown for them.
    looks_without_time: u32,
    /// How many looks may still be skipped before the next one counts.
    skips: u8,
    has_begun: bool,
}

/// One look counts for at most this part of the limit.
const PARTS: u64 = 16;

/// Looks may be skipped for this part of the limit.
const GRAINS: u64 = 64;

/// As many looks in a row may be skipped.
const MAX_SKIPS: u8 = 63;

/// After this many looks for which the clock shows no time, the wait is over: some tenths of a
/// second with a `PAUSE` each.
const MAX_LOOKS_WITHOUT_TIME: u32 = 1 << 22;

impl Default for Timer {
    #[inline]
    fn default() -> Self {
        Self {
            last: 0,
            elapsed: 0,
            grain: 0,
            looks_without_time: 0,
            skips: MAX_SKIPS,
            has_begun: false,
        }
    }
}

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
        let step = step.min(limit / PARTS + 1);
        self.elapsed = self.elapsed.saturating_add(step);
        self.looks_without_time = self
            .looks_without_time
            .saturating_add(u32::from(MAX_SKIPS - self.skips) + 1)
            .saturating_sub(u32::try_from(step).unwrap_or(u32::MAX));
        (self.last, self.has_begun, self.skips) = (now, true, MAX_SKIPS);
        self.elapsed > limit || self.looks_without_time > MAX_LOOKS_WITHOUT_TIME
    }

    /// From now on a look may be skipped that is early by this limit.
    pub(crate) fn allow_skips(&mut self, limit: Duration) {
        self.grain = nanoseconds(limit) / GRAINS;
    }

    /// From now on each look counts.
    pub(crate) fn forbid_skips(&mut self) {
        self.grain = 0;
    }

    /// Returns whether this look may count no time, since the last one that did was right before
    /// it: the next one counts for both.
    #[inline(always)]
    pub(crate) fn may_skip(&mut self, now: Instant) -> bool {
        let is_early = now.as_nanos().wrapping_sub(self.last) < self.grain;
        match self.skips.checked_sub(1) {
            Some(left) if is_early => {
                self.skips = left;
                true
            }
            _ => false,
        }
    }

    /// Returns whether half of the wait had passed at the last look: half of `limit`, or half of
    /// the looks that end it on a clock that does not go on.
    pub(crate) fn was_half_past(&self, limit: Duration) -> bool {
        self.elapsed > nanoseconds(limit) / 2
            || self.looks_without_time > MAX_LOOKS_WITHOUT_TIME / 2
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
                let is_over = timer.is_past(now, LIMIT);
                timer.allow_skips(LIMIT);
                is_over
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
    fn a_look_is_skipped_only_while_that_is_allowed() {
        let mut timer = Timer::default();
        let now = Instant::from_nanos(1_000);
        assert!(!timer.is_past(now, LIMIT));
        assert!(!timer.may_skip(now));
        timer.allow_skips(LIMIT);
        assert!(timer.may_skip(now));
        let grain = 1_600 / GRAINS;
        assert!(timer.may_skip(Instant::from_nanos(999 + grain)));
        assert!(!timer.may_skip(Instant::from_nanos(1_000 + grain)));
        timer.forbid_skips();
        assert!(!timer.may_skip(now));
    }

    #[test]
    fn half_of_a_wait_is_past_behind_its_middle() {
        let mut timer = Timer::default();
        for look in 0..=9 {
            assert!(!timer.is_past(Instant::from_nanos(look * 100), LIMIT));
            assert_eq!(timer.was_half_past(LIMIT), look > 8, "{look}");
        }
    }

    #[test]
    fn half_of_a_wait_stays_past() {
        let mut timer = Timer::default();
        let now = Instant::from_nanos(1_000);
        let mut look = || timer.is_past(now, LIMIT) || timer.was_half_past(LIMIT);
        let first = (0_u32..).find(|_| look()).unwrap();
        assert!(first.abs_diff(MAX_LOOKS_WITHOUT_TIME / 2) <= 1, "{first}");
        assert!((0..9).all(|_| look()));
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
    fn no_clock_makes_a_wait_of_more_looks_than_the_bound() {
        const BOUND: u64 = MAX_LOOKS_WITHOUT_TIME as u64 + 2 * 1600 + 64;
        // Hardly moves; goes to and fro; both at random, with every kind of step.
        let mut clocks: std::vec::Vec<Box<dyn FnMut(u64) -> u64>> = std::vec![
            Box::new(|look| look >> 16),
            Box::new(|look| (look >> 20 << 10) + (look & 1)),
            Box::new(|look| u64::MAX - (look >> 3)),
        ];
        for seed in 1_u64..6 {
            let (mut now, mut random) = (1_u64 << 40, seed);
            clocks.push(Box::new(move |_| {
                random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                now = match (random >> 60, random >> 33) {
                    (0, step) if step % 4096 == 0 => now.wrapping_add(step),
                    (1, step) if step % 4096 == 0 => now.wrapping_sub(step),
                    (2, step) if step % 1024 == 0 => now + 1,
                    (3, _) => now - 1,
                    _ => now,
                };
                now
            }));
        }
        for (number, mut clock) in clocks.into_iter().enumerate() {
            let mut timer = Timer::default();
            let ended = (0..=BOUND).find(|look| {
                let now = Instant::from_nanos(clock(*look));
                let is_over = !timer.may_skip(now) && timer.is_past(now, LIMIT);
                timer.allow_skips(LIMIT);
                is_over
            });
            assert!(ended.is_some(), "clock {number}");
        }
    }

    #[test]
    fn half_of_the_wait_is_over_before_all_of_it_on_any_clock() {
        let clocks: [fn(u64) -> u64; 4] = [
            |_| 7,
            |look| look >> 20,
            |look| u64::MAX - look,
            |look| look * 10,
        ];
        for clock in clocks {
            let (mut timer, mut half) = (Timer::default(), None);
            let end = (0..)
                .find(|look| {
                    let is_over = timer.is_past(Instant::from_nanos(clock(*look)), LIMIT);
                    if half.is_none() && timer.was_half_past(LIMIT) {
                        half = Some(*look);
                    }
                    is_over
                })
                .unwrap();
            let half = half.unwrap();
            assert!(half.abs_diff(end / 2) < 3, "half at look {half} of {end}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_ends_the_wait_by_looks() {
        assert_eq!(looks(|_| 7), u64::from(MAX_LOOKS_WITHOUT_TIME));
    }
}
