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
/// A measurement lasts this part of a second, without pauses.
const PART: u64 = 100;
/// Looks that show how long one takes.
const FIRST_LOOKS: usize = 5;
/// A timer that did not move in as many looks and ticks stands still: on the fastest processor the
/// slowest timer counts more than a hundred times meanwhile.
const STILL_LOOKS: u64 = 100;
const STILL_TICKS: u64 = 2_000_000;
/// More than [`PART`] of a second on any processor.
const MOST_TICKS: u64 = *Rate::PLAUSIBLE.end() / PART;
/// For a time stamp counter that stands still.
const MOST_LOOKS: u64 = 1 << 20;
const MOST_PAUSES: u32 = 100;
/// Longer between two looks than half of a timer's period, on any processor as fast as this, is a
/// pause: the timer may have counted through unseen.
const SLOWEST: u64 = 400_000_000;

/// Measures the rate of the time stamp counter by a timer.
///
/// It takes a hundredth of a second and the pauses of the machine, and less if the timer stands
/// still. Pauses in which the timer may have counted through unseen are left out, and make the
/// bound larger.
///
/// # Errors
///
/// [`NoRate`].
pub fn measure(timer: &Timer, mut look: impl FnMut() -> Look) -> Result<Rate, NoRate> {
    let mut begin = look();
    for _ in 1..FIRST_LOOKS {
        let next = look();
        if next.width() <= begin.width() {
            begin = next;
        }
    }
    let mut all = Sum::default();
    let mut stretch = Stretch::new(begin);
    let mut widest = 4 * begin.width() + 200;
    let (mut still, mut moved, mut pauses) = (0, begin.after, 0);
    for _ in 0..MOST_LOOKS {
        let next = look();
        if next.width() > widest {
            // The machine paused, or looks take longer than they did.
            widest += widest / 64;
            continue;
        }
        match stretch.add(next, timer) {
            Some(0) => still += 1,
            Some(_) => (still, moved) = (0, next.after),
            None => {
                all = all.with(&stretch);
                stretch = Stretch::new(next);
                pauses += 1;
                (still, moved) = (0, next.after);
            }
        }
        let sum = all.with(&stretch);
        if sum.counts >= timer.frequency / PART {
            return sum.rate(timer);
        }
        if still > STILL_LOOKS && next.after.wrapping_sub(moved) > STILL_TICKS {
            return Err(NoRate::Dead);
        }
        if sum.most > MOST_TICKS {
            return Err(NoRate::Implausible);
        }
        if pauses > MOST_PAUSES {
            return Err(NoRate::Paused);
        }
    }
    Err(NoRate::Dead)
}

/// The time between two pauses.
struct Stretch {
    begin: Look,
    last: Look,
    counts: u64,
}

impl Stretch {
    const fn new(begin: Look) -> Self {
        Self {
            begin,
            last: begin,
            counts: 0,
        }
    }

    /// Takes a look in; returns how far the timer has counted since the last one, or `None` after a
    /// pause.
    fn add(&mut self, next: Look, timer: &Timer) -> Option<u64> {
        let half = u128::from(timer.mask / 2) * u128::from(SLOWEST) / u128::from(timer.frequency);
        if u128::from(next.after.wrapping_sub(self.last.before)) > half {
            return None;
        }
        let counts = next.count.wrapping_sub(self.last.count) & timer.mask;
        self.counts += counts;
        self.last = next;
        Some(counts)
    }
}

/// All stretches together.
#[derive(Clone, Copy, Default)]
struct Sum {
    stretches: u64,
    counts: u64,
    /// The ticks for sure, and at most.
    least: u64,
    most: u64,
}

impl Sum {
    const fn with(self, stretch: &Stretch) -> Self {
        let Stretch {
            begin,
            last,
            counts,
        } = stretch;
        if *counts == 0 {
            // It is shorter than the timer can show.
            return self;
        }
        Self {
            stretches: self.stretches + 1,
            counts: self.counts + *counts,
            least: self.least + last.before.saturating_sub(begin.after),
            most: self.most + last.after.wrapping_sub(begin.before),
        }
    }

    fn rate(&self, timer: &Timer) -> Result<Rate, NoRate> {
        // In each stretch the timer moved up to one count more or less.
        let rate = |ticks: u64, counts: u64| {
            u128::from(ticks) * u128::from(timer.frequency) / u128::from(counts.max(1))
        };
        let low = rate(self.least, self.counts + self.stretches);
        let high = rate(self.most, self.counts.saturating_sub(self.stretches));
        let middle = low.midpoint(high);
        let frequency = u64::try_from(middle).map_err(|_| NoRate::Implausible)?;
        if !Rate::PLAUSIBLE.contains(&frequency) {
            return Err(NoRate::Implausible);
        }
        let half = (high - middle).max(middle - low) * 1_000_000;
        let bound = half.div_ceil(middle) + u128::from(TOLERANCE);
        Ok(Rate {
            source: timer.source,
            frequency,
            bound: u32::try_from(bound).unwrap_or(u32::MAX),
        })
    }
}

#[cfg(test)]
mod tests;
