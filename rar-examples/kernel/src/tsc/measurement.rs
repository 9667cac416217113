//! The time stamp counter compared with a timer of known rate. A pause of the host or of firmware
//! in the middle makes no wrong rate: each look says between which ticks it was.

use super::rate::{ClockSource, Rate};

/// One look at a timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The time stamp counter before.
    pub before: u64,
    /// What the timer has counted, upwards.
    pub count: u64,
    /// The time stamp counter after.
    pub after: u64,
}

impl Look {
    /// Looks at a timer by `count`, and at the time stamp counter by `now`.
    pub fn take(now: impl Fn() -> u64, count: impl FnOnce() -> u64) -> Self {
        let before = now();
        let count = count();
        Self {
            before,
            count,
            after: now(),
        }
    }

    const fn width(&self) -> u64 {
        self.after.wrapping_sub(self.before)
    }
}

/// A timer of known rate.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// What it is.
    pub source: ClockSource,
    /// Counts in a second.
    pub frequency: u64,
    /// The bits of a count; it begins again behind the greatest.
    pub mask: u64,
}

/// Why there is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRate {
    /// The timer stands still.
    Dead,
    /// No processor is as slow or as fast.
    Implausible,
    /// The machine paused so long that the timer may have begun again unseen.
    Paused,
}

/// Timers run at their rate up to this many millionths (IA-PC HPET Specification 1.0a, "Minimum
/// Recommended Hardware", asks it of the HPET; for the others it is our choice).
const TOLERANCE: u64 = 500;
/// A measurement lasts this part of a second.
const PART: u64 = 100;
/// Looks at each end; the one between the fewest ticks counts.
const END_LOOKS: usize = 5;
/// A timer that did not move in as many looks and ticks stands still: on the fastest processor the
/// slowest timer counts more than a hundred times meanwhile.
const STILL_LOOKS: u64 = 100;
const STILL_TICKS: u64 = 2_000_000;
/// More than [`PART`] of a second on any processor.
const MOST_TICKS: u64 = *Rate::PLAUSIBLE.end() / PART;
/// For a time stamp counter that stands still: seconds.
const MOST_LOOKS: u64 = 1 << 20;
const ATTEMPTS: usize = 3;
/// A bound that needs no other attempt, in millionths.
const GOOD: u32 = 1_000;

/// Measures the rate of the time stamp counter by a timer: the best of a few attempts.
///
/// It takes a hundredth of a second unless the machine pauses, and less if the timer stands still.
///
/// # Errors
///
/// [`NoRate`].
pub fn measure(timer: &Timer, mut look: impl FnMut() -> Look) -> Result<Rate, NoRate> {
    let mut best = Err(NoRate::Paused);
    for _ in 0..ATTEMPTS {
        let next = Run::begin(timer, &mut look).and_then(|run| run.end(&mut look));
        best = match (best, next) {
            (Err(_), next) => next,
            (Ok(best), Ok(next)) if next.bound < best.bound => Ok(next),
            (best, _) => best,
        };
        match best {
            Ok(rate) if rate.bound > GOOD => {}
            Err(NoRate::Paused) => {}
            _ => break,
        }
    }
    best
}

/// A measurement in progress.
struct Run<'t> {
    timer: &'t Timer,
    begin: Look,
    last: Look,
    /// Counts since the begin.
    counts: u64,
    /// The most ticks from one look to the next, and the counts meanwhile.
    longest: (u64, u64),
}

impl<'t> Run<'t> {
    /// Looks until [`PART`] of a second has passed, not counting the longest time between looks.
    fn begin(timer: &'t Timer, look: &mut impl FnMut() -> Look) -> Result<Self, NoRate> {
        let mut begin = look();
        for _ in 1..END_LOOKS {
            let next = look();
            if next.width() <= begin.width() {
                begin = next;
            }
        }
        let mut run = Self {
            timer,
            begin,
            last: begin,
            counts: 0,
            longest: (0, 0),
        };
        let (mut still, mut moved) = (0, begin.after);
        for _ in 0..MOST_LOOKS {
            let next = look();
            if run.add(next) > 0 {
                (still, moved) = (0, next.after);
            } else {
                still += 1;
            }
            if still > STILL_LOOKS && next.after.wrapping_sub(moved) > STILL_TICKS {
                return Err(NoRate::Dead);
            }
            if run.counts - run.longest.1 >= timer.frequency / PART {
                return Ok(run);
            }
            if run.ticks().saturating_sub(run.longest.0) > MOST_TICKS {
                return Err(NoRate::Implausible);
            }
        }
        Err(NoRate::Dead)
    }

    /// Takes the rate at the best of a few more looks.
    fn end(mut self, look: &mut impl FnMut() -> Look) -> Result<Rate, NoRate> {
        let (mut end, mut counts) = (self.last, self.counts);
        for _ in 1..END_LOOKS {
            let next = look();
            self.add(next);
            if next.width() < end.width() {
                (end, counts) = (next, self.counts);
            }
        }
        if self.may_have_begun_again() {
            return Err(NoRate::Paused);
        }
        // The timer moved up to one count before or after each look.
        let rate = |ticks: u64, counts: u64| {
            u128::from(ticks) * u128::from(self.timer.frequency) / u128::from(counts.max(1))
        };
        let least = end.before.saturating_sub(self.begin.after);
        let low = rate(least, counts + 1);
        let high = rate(end.after.wrapping_sub(self.begin.before), counts - 1);
        let middle = low.midpoint(high);
        let frequency = u64::try_from(middle).map_err(|_| NoRate::Implausible)?;
        if !Rate::PLAUSIBLE.contains(&frequency) {
            return Err(NoRate::Implausible);
        }
        let half = (high - middle).max(middle - low) * 1_000_000;
        let bound = half.div_ceil(middle) + u128::from(TOLERANCE);
        Ok(Rate {
            source: self.timer.source,
            frequency,
            bound: u32::try_from(bound).unwrap_or(u32::MAX),
        })
    }

    /// Takes a look in; returns how far the timer has counted since the last one.
    fn add(&mut self, next: Look) -> u64 {
        let counts = next.count.wrapping_sub(self.last.count) & self.timer.mask;
        let ticks = next.after.wrapping_sub(self.last.before);
        self.longest = self.longest.max((ticks, counts));
        self.counts += counts;
        self.last = next;
        counts
    }

    const fn ticks(&self) -> u64 {
        self.last.after.wrapping_sub(self.begin.before)
    }

    /// Whether the longest time between two looks is near the time in which the timer counts
    /// through, by what was counted in the rest.
    fn may_have_begun_again(&self) -> bool {
        let (ticks, counts) = self.longest;
        let rest = u128::from(self.ticks().saturating_sub(ticks));
        let counted = u128::from(self.counts - counts) * u128::from(ticks);
        counted >= rest * u128::from(self.timer.mask / 2)
    }
}

#[cfg(test)]
mod tests;
