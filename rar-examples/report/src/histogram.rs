//! Histograms as bytes: the first bucket that counted something, then the counts up to the last.

use core::fmt;

use rar_vocabulary::{BUCKETS, Histogram};
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Returns the counts from the first that is not zero to the last, and the bucket of the first.
fn run(histogram: &Histogram) -> (usize, &[u32]) {
    let counts = histogram.counts();
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let end = counts
        .iter()
        .rposition(|count| *count > 0)
        .map_or(first, |last| last + 1);
    (first, counts.get(first..end).unwrap_or_default())
}

pub(crate) fn serialize<S: Serializer>(
    histogram: &Histogram,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut pair = serializer.serialize_tuple(2)?;
    let (first, run) = run(histogram);
    pair.serialize_element(&u8::try_from(first).unwrap_or(u8::MAX))?;
    pair.serialize_element(run)?;
    pair.end()
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Histogram, D::Error> {
    let (first, FromZero(counts)) = <(u8, FromZero)>::deserialize(deserializer)?;
    if usize::from(first) > BUCKETS {
        return Err(D::Error::custom("a histogram has at most 64 buckets"));
    }
    let mut histogram = Histogram::new();
    for (bucket, count) in (u32::from(first)..).zip(counts) {
        if count > 0 && bucket as usize >= BUCKETS {
            return Err(D::Error::custom("a histogram has at most 64 buckets"));
        }
        histogram.add(bucket, count);
    }
    Ok(histogram)
}

/// Counts whose first is that of bucket 0.
struct FromZero([u32; BUCKETS]);

impl<'de> Deserialize<'de> for FromZero {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Run;
        impl<'de> Visitor<'de> for Run {
            type Value = FromZero;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("at most 64 counts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut counts: A) -> Result<FromZero, A::Error> {
                let mut all = [0; BUCKETS];
                let mut buckets = all.iter_mut();
                while let Some(count) = counts.next_element()? {
                    *buckets
                        .next()
                        .ok_or_else(|| A::Error::custom("more than 64 counts"))? = count;
                }
                Ok(FromZero(all))
            }
        }
        deserializer.deserialize_seq(Run)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wire(#[serde(with = "super")] Histogram);

    #[test]
    fn only_the_used_run_is_written() {
        let mut histogram = Histogram::new();
        histogram.add(10, 3);
        histogram.add(12, 200);
        let mut buffer = [0; 16];
        let bytes = postcard::to_slice(&Wire(histogram), &mut buffer).unwrap();
        assert_eq!(bytes, [10, 3, 3, 0, 0xc8, 1]);
        assert_eq!(
            postcard::from_bytes::<Wire>(bytes).unwrap(),
            Wire(histogram)
        );
    }

    #[test]
    fn a_run_past_the_last_bucket_is_refused() {
        assert!(postcard::from_bytes::<Wire>(&[63, 1, 5]).is_ok());
        assert!(postcard::from_bytes::<Wire>(&[64, 1, 5]).is_err());
        assert!(postcard::from_bytes::<Wire>(&[63, 2, 5, 5]).is_err());
        let mut many = [1; 67];
        many[..2].copy_from_slice(&[0, 65]);
        assert!(postcard::from_bytes::<Wire>(&many).is_err());
    }
}
