//! How long flushes took.

use rar_vocabulary::{Backend, Disturbances, Histogram, Method};
use serde::Serialize;

/// The latency of one kind of flush, in ticks of the time stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measurement<'a> {
    /// Who answered.
    pub backend: Backend,
    /// By what means.
    pub method: Method,
    /// How many remote CPUs were flushed; 0 for a local flush.
    pub targets: u32,
    /// How many pages; 0 for everything.
    pub pages: u32,
    /// What the targets were doing, for example `spinning` or `halted`; `local` if there were none.
    pub state: &'a str,
    /// How many CPUs flushed at the same time, this one included.
    pub initiators: u32,
    /// How many flushes were timed.
    pub samples: u64,
    /// The shortest.
    pub min: u64,
    /// Half were not longer.
    pub p50: u64,
    /// 99 of 100 were not longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
    /// All of them by powers of two.
    #[serde(with = "crate::histogram")]
    pub histogram: Histogram,
    /// How often something else took part: fallbacks, second signals, flushes without a slot. The
    /// numbers are those of the method alone only if it is 0.
    pub spoiled: u64,
    /// What came from outside meanwhile: the longest flushes may be longer by that.
    pub disturbances: Disturbances,
}
