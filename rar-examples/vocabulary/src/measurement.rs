//! How long flushes took.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{Backend, Disturbances, Histogram};

/// How long one kind of flush took, in ticks of the machine's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// The method.
    pub method: Method,
    /// What executed remote flushes.
    pub backend: Backend,
    /// How many CPUs the machine has.
    pub cpus: u32,
    /// How many other CPUs were flushed; 0 for a local flush.
    pub targets: u32,
    /// How many pages; 0 for everything.
    pub pages: u32,
    /// What the targets were doing.
    pub state: State,
    /// How many CPUs initiated at the same time.
    pub contenders: u32,
    /// How many flushes were timed; fewer than requested if the time for the point ran out.
    pub samples: u32,
    /// How many ticks a millisecond has.
    pub ticks_per_millisecond: u64,
    /// The shortest.
    pub min: u64,
    /// Half were not longer.
    pub p50: u64,
    /// 99 of 100 were not longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
    /// All of them, by powers of two.
    pub histogram: Histogram,
    /// How often a flush used other means than the signal: fallbacks, second signals, flushes
    /// without a slot, FAILURE bytes, errors. The numbers measure the method only if this is 0.
    pub spoiled: u64,
    /// What came from outside meanwhile: the longest flushes may be longer by that.
    #[serde(default, skip_serializing_if = "Disturbances::is_none")]
    pub disturbances: Disturbances,
}

impl Measurement {
    /// Returns a number of ticks in nanoseconds.
    #[must_use]
    pub fn nanoseconds(&self, ticks: u64) -> u128 {
        let ticks = u128::from(ticks) * 1_000_000;
        ticks / u128::from(self.ticks_per_millisecond.max(1))
    }
}

/// One line for a terminal.
impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9} ", self.method.name())?;
        match self.pages {
            _ if !self.method.flushes() => f.write_str("nothing")?,
            0 => f.write_str("everything")?,
            1 => f.write_str("    1 page")?,
            pages => write!(f, "{pages:4} pages")?,
        }
        if self.targets > 0 {
            write!(f, " of {} {}", self.targets, self.state.name())?;
        }
        if self.contenders > 1 {
            write!(f, ", {} at once", self.contenders)?;
        }
        let (p50, p99) = (self.nanoseconds(self.p50), self.nanoseconds(self.p99));
        write!(f, ": p50 {p50} ns, p99 {p99} ns")?;
        if self.spoiled > 0 {
            write!(f, ", spoiled {} times", self.spoiled)?;
        }
        match self.disturbances.is_none() {
            true => Ok(()),
            false => write!(f, ", disturbed by {}", self.disturbances),
        }
    }
}

/// How a flush is made, or what flushes are compared with.
///
/// The order is that of the numbers in the bytes of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By the driver, and the targets' RAR units.
    Rar,
    /// By the driver, and the targets' handlers of an ordinary interrupt.
    Ipi,
    /// By flush generation and a non-maskable interrupt.
    Nmi,
    /// On the CPU itself: INVLPG, the unit of comparison.
    Invlpg,
    /// On the CPU itself: everything, globals included.
    Full,
    /// On the CPU itself: a write of CR3.
    Cr3,
    /// No flush: the time of reading the clock, which is part of every other number.
    Clock,
    /// No flush: an ordinary interrupt and its answer, sent and taken as the signal of
    /// [`Ipi`](Self::Ipi).
    BareIpi,
    /// No flush: the way into the hypervisor or shim that provides RAR units, and back.
    BareExit,
}

impl Method {
    /// Returns the name, as records and tables show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rar => "rar",
            Self::Ipi => "ipi",
            Self::Nmi => "nmi",
            Self::Clock => "clock",
            Self::Invlpg => "invlpg",
            Self::Full => "full",
            Self::Cr3 => "cr3",
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

/// What targets do while they are flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There are none.
    Local,
    /// They spin, with interrupts enabled.
    Spinning,
    /// They are halted (HLT).
    Halted,
    /// They spin, with interrupts disabled.
    InterruptsOff,
}

impl State {
    /// Returns the name, as records show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Spinning => "spinning",
            Self::Halted => "halted",
            Self::InterruptsOff => "interrupts-off",
        }
    }
}
