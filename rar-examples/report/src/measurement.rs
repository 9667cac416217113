//! How long flushes took.

use crate::histogram::Histogram;
use serde::{Deserialize, Serialize};

/// By what means a flush was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A Remote Action Request.
    Rar,
    /// An ordinary interrupt.
    Ipi,
    /// A non-maskable interrupt.
    Nmi,
    /// INVLPG on the CPU itself, the unit of comparison.
    Invlpg,
}

impl Method {
    /// Returns the name that tables use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rar => "rar",
            Self::Ipi => "ipi",
            Self::Nmi => "nmi",
            Self::Invlpg => "invlpg",
        }
    }
}

/// The latency of one kind of flush, in ticks of the time stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measurement<'a> {
    /// Who answered.
    pub backend: crate::Backend,
    /// By what means.
    pub method: Method,
    /// How many remote CPUs were flushed; 0 for a local flush.
    pub targets: u32,
    /// How many pages; 0 for everything.
    pub pages: u32,
    /// What the targets were doing, for example `spin` or `hlt`.
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
    pub histogram: Histogram,
}
