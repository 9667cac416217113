//! Which rate is used, where sources disagree.

use core::fmt;

use super::rate::{ClockSource, ClockSources, Rate};

/// The time stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "freestanding", derive(defmt::Format))]
pub struct Clock {
    /// Ticks in a second.
    pub frequency: u64,
    /// Where the rate comes from.
    pub source: ClockSource,
    /// By how many millionths the rate may be wrong, if a source gave any. Where sources disagree
    /// and none is confirmed, every one of them is within.
    pub bound: Option<u32>,
    /// The other sources that agree.
    pub confirmed_by: ClockSources,
    /// The sources that disagree.
    pub contradicted_by: ClockSources,
}

impl Clock {
    /// A rate as good as any guess, where no source gives one: deadlines come out wrong by a small
    /// factor.
    pub const GUESS: Self = Self {
        frequency: 3_000_000_000,
        source: ClockSource::Guess,
        bound: None,
        confirmed_by: ClockSources::EMPTY,
        contradicted_by: ClockSources::EMPTY,
    };

    /// Returns the source and its bound in words.
    #[must_use]
    pub const fn origin(&self) -> impl fmt::Display + use<> {
        Origin(*self)
    }
}

/// Chooses the rate on which most sources agree: whose bounds have a rate in common. Of as many,
/// measured ones are chosen, then the earlier of [`ClockSource::ALL`]; among those that agree, the
/// one with the least bound.
#[must_use]
pub fn agree<'r>(rates: impl Iterator<Item = &'r Rate> + Clone) -> Clock {
    let group = |rate: &Rate| {
        let low = *rate.range().start();
        let rates = rates.clone();
        rates.filter(move |other| other.range().contains(&low))
    };
    let weight = |rate: &&Rate| {
        let measured = group(rate).filter(|rate| rate.source.is_measured());
        let first = group(rate).map(|rate| rate.source).min();
        (
            group(rate).count(),
            measured.count(),
            core::cmp::Reverse(first),
        )
    };
    let Some(most) = rates.clone().max_by_key(weight) else {
        return Clock::GUESS;
    };
    let best = group(most)
        .min_by_key(|rate| (rate.bound, rate.source))
        .unwrap_or(most);
    let mut clock = Clock {
        frequency: best.frequency,
        source: best.source,
        bound: Some(best.bound),
        ..Clock::GUESS
    };
    for other in rates.clone().filter(|other| other.source != best.source) {
        if group(most).any(|rate| rate.source == other.source) {
            clock.confirmed_by = clock.confirmed_by.with(other.source);
        } else {
            clock.contradicted_by = clock.contradicted_by.with(other.source);
        }
    }
    if clock.confirmed_by.is_empty() {
        let distances = rates.map(|other| best.distance(other.frequency));
        clock.bound = distances.chain([best.bound]).max();
    }
    clock
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilohertz = self.frequency / 1000;
        write!(
            f,
            "time stamp counter at {kilohertz} kHz by {}",
            self.origin()
        )
    }
}

struct Origin(Clock);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(clock) = self;
        write!(f, "{}", clock.source)?;
        if let Some(bound) = clock.bound {
            write!(f, " within {bound} ppm")?;
        }
        match (
            clock.confirmed_by.is_empty(),
            clock.contradicted_by.is_empty(),
        ) {
            (true, true) => {}
            (true, false) => f.write_str(", unconfirmed")?,
            (false, _) => write!(f, ", confirmed by {}", clock.confirmed_by)?,
        }
        if !clock.contradicted_by.is_empty() {
            write!(f, ", contradicted by {}", clock.contradicted_by)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
