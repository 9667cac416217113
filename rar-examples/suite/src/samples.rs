//! Samples in fixed memory, and their exact quantiles.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rar_vocabulary::Histogram;

/// How many samples a point has at most: at least one for each CPU.
pub const MOST_SAMPLES: u32 = 2048;

const _: () = assert!(MOST_SAMPLES as usize >= crate::record::MAX_CPUS);

/// Storage for the samples of one point. Several CPUs may add to it.
#[derive(Debug)]
pub(crate) struct Samples {
    values: [AtomicU64; MOST_SAMPLES as usize],
    taken: AtomicU32,
}

/// The quantiles of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Distribution {
    pub(crate) samples: u32,
    pub(crate) min: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
    pub(crate) histogram: Histogram,
}

impl Samples {
    pub(crate) const fn new() -> Self {
        Self {
            values: [const { AtomicU64::new(0) }; MOST_SAMPLES as usize],
            taken: AtomicU32::new(0),
        }
    }

    pub(crate) fn clear(&self) {
        self.taken.store(0, Ordering::Release);
    }

    /// Keeps a sample, if there is room.
    pub(crate) fn add(&self, value: u64) {
        let place = self.taken.fetch_add(1, Ordering::AcqRel);
        if let Some(cell) = self.values.get(place as usize) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    fn values(&self) -> impl Iterator<Item = u64> + '_ {
        let taken = self.taken.load(Ordering::Acquire).min(MOST_SAMPLES);
        let kept = self.values.iter().take(taken as usize);
        kept.map(|value| value.load(Ordering::Relaxed))
    }

    /// Returns the quantiles, `None` without samples. Called after a barrier that all adding CPUs
    /// have passed.
    pub(crate) fn distribution(&self) -> Option<Distribution> {
        let (min, max) = (self.values().min()?, self.values().max()?);
        let samples = u32::try_from(self.values().count()).ok()?;
        let mut histogram = Histogram::new();
        self.values().for_each(|value| histogram.record(value));
        Some(Distribution {
            samples,
            min,
            p50: self.not_exceeded_by(samples, 50, min..=max),
            p99: self.not_exceeded_by(samples, 99, min..=max),
            max,
            histogram,
        })
    }

    /// Returns the smallest sample that at least `percent` of 100 samples do not exceed. Found by
    /// bisecting the range of values, since there is no memory for a sorted copy.
    fn not_exceeded_by(
        &self,
        samples: u32,
        percent: u64,
        range: core::ops::RangeInclusive<u64>,
    ) -> u64 {
        let wanted = (u64::from(samples) * percent).div_ceil(100);
        let (mut low, mut high) = range.into_inner();
        while low < high {
            let middle = low + (high - low) / 2;
            let below = self.values().filter(|value| *value <= middle).count() as u64;
            if below >= wanted {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::boxed::Box;
    use std::vec::Vec;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Option<Distribution> {
        let samples = Box::new(Samples::new());
        samples.add(u64::MAX);
        samples.clear();
        values.iter().for_each(|value| samples.add(*value));
        samples.distribution()
    }

    #[test]
    fn nothing_comes_to_nothing() {
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn the_known_case() {
        let values: Vec<_> = (1..=200).rev().collect();
        let sum = of(&values).unwrap();
        assert_eq!((sum.min, sum.p50, sum.p99, sum.max), (1, 100, 198, 200));
        let found: Vec<_> = sum.histogram.buckets().collect();
        let expected = [1, 2, 4, 8, 16, 32, 64, 73].into_iter().zip(0..);
        assert!(
            found
                .into_iter()
                .eq(expected.map(|(count, bucket)| (bucket, count)))
        );
    }

    #[test]
    fn what_has_no_room_does_not_count() {
        let sum = of(&[7; MOST_SAMPLES as usize + 3]).unwrap();
        assert_eq!(sum.samples, MOST_SAMPLES);
        assert_eq!(sum.histogram.samples(), u64::from(MOST_SAMPLES));
    }

    #[test]
    fn a_sample_counts_in_the_bucket_of_its_highest_bit() {
        let sum = of(&[0, 1, 2, 3, 4, 1023, 1024, u64::MAX]).unwrap();
        let expected = [(0, 2), (1, 2), (2, 1), (9, 1), (10, 1), (63, 1)];
        assert!(sum.histogram.buckets().eq(expected));
    }

    proptest! {
        #[test]
        fn as_sorted_samples_say(values in vec(prop_oneof![0..100_u64, any::<u64>()], 1..300)) {
            let sum = of(&values).unwrap();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            // Rank by definition: the first sample that enough others do not exceed.
            let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
            prop_assert_eq!(sum.samples as usize, values.len());
            prop_assert_eq!(sum.min, sorted[0]);
            prop_assert_eq!(sum.p50, at(50));
            prop_assert_eq!(sum.p99, at(99));
            prop_assert_eq!(sum.max, sorted[sorted.len() - 1]);
            prop_assert_eq!(sum.histogram.samples(), values.len() as u64);
            for (bucket, count) in sum.histogram.buckets() {
                let inside = |value: &&u64| (**value).max(1).ilog2() == bucket;
                prop_assert_eq!(count as usize, values.iter().filter(inside).count());
            }
        }
    }
}
