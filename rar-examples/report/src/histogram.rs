//! Counts of latencies by size.

use core::fmt;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many buckets there are: one for each bit of a number of ticks.
const BUCKETS: usize = 64;

/// Counts by powers of two: bucket `n` counts what is at least 2^n and less than 2^(n+1); zero
/// counts as one.
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

    /// Returns the buckets that have counted something, each with its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..).zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// Returns how many samples were counted.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// Returns the counts from the first that is not zero to the last, and the bucket of the first.
    fn run(&self) -> (usize, &[u32]) {
        let first = self.counts.iter().position(|count| *count > 0).unwrap_or(0);
        let end = self
            .counts
            .iter()
            .rposition(|count| *count > 0)
            .map_or(first, |last| last + 1);
        (first, self.counts.get(first..end).unwrap_or_default())
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        let (first, run) = self.run();
        pair.serialize_element(&u8::try_from(first).unwrap_or(u8::MAX))?;
        pair.serialize_element(run)?;
        pair.end()
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (first, mut histogram) = <(u8, FromZero)>::deserialize(deserializer)?;
        let first = usize::from(first);
        let used = histogram.0.run();
        if first + used.0 + used.1.len() > BUCKETS {
            return Err(D::Error::custom("a histogram has at most 64 buckets"));
        }
        histogram.0.counts.rotate_right(first % BUCKETS);
        Ok(histogram.0)
    }
}

/// A histogram whose first bucket is bucket 0.
struct FromZero(Histogram);

impl<'de> Deserialize<'de> for FromZero {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Run;
        impl<'de> Visitor<'de> for Run {
            type Value = FromZero;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("at most 64 counts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut counts: A) -> Result<FromZero, A::Error> {
                let mut histogram = Histogram::new();
                let mut buckets = histogram.counts.iter_mut();
                while let Some(count) = counts.next_element()? {
                    *buckets
                        .next()
                        .ok_or_else(|| A::Error::custom("more than 64 counts"))? = count;
                }
                Ok(FromZero(histogram))
            }
        }
        deserializer.deserialize_seq(Run)
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
    fn only_the_used_run_is_written() {
        let mut histogram = Histogram::new();
        histogram.add(10, 3);
        histogram.add(12, 200);
        let mut buffer = [0; 16];
        let bytes = postcard::to_slice(&histogram, &mut buffer).unwrap();
        assert_eq!(bytes, [10, 3, 3, 0, 0xC8, 1]);
        assert_eq!(postcard::from_bytes::<Histogram>(bytes).unwrap(), histogram);
    }

    #[test]
    fn a_run_past_the_last_bucket_is_refused() {
        assert!(postcard::from_bytes::<Histogram>(&[63, 1, 5]).is_ok());
        assert!(postcard::from_bytes::<Histogram>(&[64, 1, 5]).is_err());
        assert!(postcard::from_bytes::<Histogram>(&[63, 2, 5, 5]).is_err());
        let mut many = [1; 67];
        many[..2].copy_from_slice(&[0, 65]);
        assert!(postcard::from_bytes::<Histogram>(&many).is_err());
    }
}
