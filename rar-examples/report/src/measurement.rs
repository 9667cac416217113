//! How long flushes took.

use crate::histogram::Histogram;
use serde::{Deserialize, Serialize};

/// By what means a flush was made, or what flushes are compared with.
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
    /// Everything on the CPU itself, globals included.
    Full,
    /// A write of CR3 on the CPU itself.
    Cr3,
    /// No flush: what the clock itself takes.
    Clock,
    /// No flush: an ordinary interrupt and its answer.
    BareIpi,
    /// No flush: an exit to the software that provides the RAR units, and the return.
    BareExit,
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
            Self::Full => "full",
            Self::Cr3 => "cr3",
            Self::Clock => "clock",
            Self::BareIpi => "bare-ipi",
            Self::BareExit => "bare-exit",
        }
    }

    /// Returns whether it flushes anything.
    #[must_use]
    pub const fn flushes(self) -> bool {
        !matches!(self, Self::Clock | Self::BareIpi | Self::BareExit)
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
    pub histogram: Histogram,
    /// The number of fallbacks, second signals and flushes without a slot. Unless it is 0, the
    /// numbers are not those of the method by itself.
    pub spoiled: u64,
}
