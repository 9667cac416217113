//! Counts of latencies by size.

use core::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many buckets a [`Histogram`] has: one for each bit of a number of ticks.
pub const BUCKETS: usize = 64;

/// Counts by powers of two: bucket `n` counts what is at least 2^n and less than 2^(n+1); zero
/// counts as one.
///
/// A record shows a pair for each bucket that has counted something: bucket and count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u32; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// Returns a histogram that has counted nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counts: [0; BUCKETS],
        }
    }

    /// Counts one sample; a bucket that is full stays so.
    pub fn record(&mut self, ticks: u64) {
        self.add(ticks.max(1).ilog2(), 1);
    }

    /// Counts `count` samples in a bucket; a bucket that does not exist counts nothing.
    pub fn add(&mut self, bucket: u32, count: u32) {
        if let Some(counted) = self.counts.get_mut(bucket as usize) {
            *counted = counted.saturating_add(count);
        }
    }

    /// Returns the count of each bucket.
    #[must_use]
    pub const fn counts(&self) -> &[u32; BUCKETS] {
        &self.counts
    }

    /// Returns the buckets that have counted something, each with its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..).zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// Returns how many samples were counted.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.buckets())
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Buckets;
        impl<'de> Visitor<'de> for Buckets {
            type Value = Histogram;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("pairs of a bucket below 64 and its count")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Histogram, A::Error> {
                let mut histogram = Histogram::new();
                while let Some((bucket, count)) = pairs.next_element::<(usize, u32)>()? {
                    let counted = histogram.counts.get_mut(bucket);
                    let counted = counted.ok_or_else(|| A::Error::custom("no such bucket"))?;
                    *counted = counted
                        .checked_add(count)
                        .ok_or_else(|| A::Error::custom("a bucket counts too many"))?;
                }
                Ok(histogram)
            }
        }
        deserializer.deserialize_seq(Buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_in_the_bucket_of_its_highest_bit() {
        let mut histogram = Histogram::new();
        for ticks in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX] {
            histogram.record(ticks);
        }
        let found = histogram.buckets();
        assert!(found.eq([(0, 2), (1, 2), (2, 1), (9, 1), (10, 1), (63, 1)]));
        assert_eq!(histogram.samples(), 8);
    }

    #[test]
    fn a_record_shows_pairs_and_is_read_back() {
        let mut histogram = Histogram::new();
        histogram.add(8, 1);
        histogram.add(63, 20);
        let json = serde_json::to_value(histogram).unwrap();
        assert_eq!(json, serde_json::json!([[8, 1], [63, 20]]));
        assert_eq!(
            serde_json::from_value::<Histogram>(json).unwrap(),
            histogram
        );
        let wrong = serde_json::json!([[64, 1]]);
        assert!(serde_json::from_value::<Histogram>(wrong).is_err());
    }
}
