//! How long waits took, as a histogram.

use core::time::Duration;

use rar_percpu::Counter;

/// A histogram of waits whose classes double: below 256 ns, below 512 ns, and so on; the last is
/// for 2^30 ns (1.07 s) and more.
///
/// Which waits are in it says [`Counting`](crate::Counting).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WaitTimes {
    classes: [u64; Self::COUNT],
}

/// The first class is below 2 to this power, in nanoseconds.
const FIRST: u32 = 8;

impl WaitTimes {
    /// How many classes there are.
    pub const COUNT: usize = 24;

    pub(crate) const fn of(classes: [u64; Self::COUNT]) -> Self {
        Self { classes }
    }

    /// Returns where a wait of that many nanoseconds is counted.
    pub(crate) fn counter(nanoseconds: u64) -> Counter {
        const START: usize = Counter::COUNT - WaitTimes::COUNT;
        let bits = u64::BITS - nanoseconds.leading_zeros();
        let class = (bits.saturating_sub(FIRST) as usize).min(Self::COUNT - 1);
        let index = u8::try_from(START + class);
        index.ok().and_then(Counter::new).unwrap_or(Counter::LAST)
    }

    /// Returns the number of waits.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.classes
            .iter()
            .fold(0, |sum, class| sum.wrapping_add(*class))
    }

    /// Returns the classes in ascending order: below which time, and how many waits. `None` stands
    /// for the last class, which has no such time.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let last = Self::COUNT - 1;
        self.classes.iter().enumerate().map(move |(class, waits)| {
            let below = (class < last).then(|| Duration::from_nanos(1 << (FIRST as usize + class)));
            (below, *waits)
        })
    }

    pub(super) fn combined(self, other: Self, combine: fn(u64, u64) -> u64) -> Self {
        let mut classes = self.classes;
        for (class, other) in classes.iter_mut().zip(other.classes) {
            *class = combine(*class, other);
        }
        Self { classes }
    }
}

impl core::fmt::Display for WaitTimes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut separator = "";
        for (below, waits) in self.iter().filter(|(_, waits)| *waits > 0) {
            match below {
                Some(below) => write!(f, "{separator}{waits} below {below:?}")?,
                None => write!(f, "{separator}{waits} of 1.07s or more")?,
            }
            separator = ", ";
        }
        if separator.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(not(rar_loom))]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn each_wait_has_the_class_whose_bounds_enclose_it() {
        let classes: std::vec::Vec<_> = WaitTimes::default().iter().collect();
        let start = Counter::COUNT - WaitTimes::COUNT;
        for bit in 0..64 {
            for wait in [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1] {
                let class = WaitTimes::counter(wait).index() - start;
                let wait = Duration::from_nanos(wait);
                assert!(
                    classes[class].0.is_none_or(|below| wait < below),
                    "{wait:?}"
                );
                let above = class.checked_sub(1).and_then(|lower| classes[lower].0);
                assert!(above.is_none_or(|above| above <= wait), "{wait:?}");
            }
        }
    }

    #[test]
    fn the_text_leaves_out_what_is_zero() {
        let mut classes = [0; WaitTimes::COUNT];
        assert_eq!(WaitTimes::of(classes).to_string(), "none");
        (classes[0], classes[2], classes[23]) = (5, 1, 2);
        let times = WaitTimes::of(classes);
        assert_eq!(
            times.to_string(),
            "5 below 256ns, 1 below 1.024µs, 2 of 1.07s or more"
        );
        assert_eq!(times.total(), 8);
    }
}
