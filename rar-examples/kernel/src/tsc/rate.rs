//! A rate, where it comes from, and how wrong it may be.

use core::fmt;
use core::ops::RangeInclusive;

/// Where a rate of the time stamp counter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "freestanding", derive(defmt::Format))]
#[repr(u8)]
pub enum ClockSource {
    /// Measured against the ACPI power management timer.
    PmTimer,
    /// Measured against the high precision event timer.
    Hpet,
    /// Measured against the programmable interval timer.
    Pit,
    /// CPUID leaf 0x15: crystal and ratio.
    Cpuid15,
    /// CPUID leaf 0x16: the base frequency of the processor.
    Cpuid16,
    /// Nothing answered.
    Guess,
}

impl ClockSource {
    /// All, those first that are believed before others.
    pub const ALL: [Self; 6] = [
        Self::PmTimer,
        Self::Hpet,
        Self::Pit,
        Self::Cpuid15,
        Self::Cpuid16,
        Self::Guess,
    ];

    /// Returns whether the rate was measured, and not just told.
    #[must_use]
    pub const fn is_measured(self) -> bool {
        matches!(self, Self::PmTimer | Self::Hpet | Self::Pit)
    }
}

impl fmt::Display for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PmTimer => "the ACPI timer",
            Self::Hpet => "the HPET",
            Self::Pit => "the interval timer",
            Self::Cpuid15 => "CPUID leaf 0x15",
            Self::Cpuid16 => "CPUID leaf 0x16",
            Self::Guess => "a guess",
        })
    }
}

/// A set of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "freestanding", derive(defmt::Format))]
pub struct ClockSources(u8);

impl ClockSources {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Returns the set with one source more.
    #[must_use]
    pub const fn with(self, source: ClockSource) -> Self {
        Self(self.0 | 1 << source as u8)
    }

    /// Returns whether the source is in the set.
    #[must_use]
    pub const fn contains(self, source: ClockSource) -> bool {
        self.0 & (1 << source as u8) != 0
    }

    /// Returns whether no source is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ClockSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for source in ClockSource::ALL {
            if self.contains(source) {
                write!(f, "{before}{source}")?;
                before = ", ";
            }
        }
        Ok(())
    }
}

/// A rate by one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Where it comes from.
    pub source: ClockSource,
    /// Ticks in a second.
    pub frequency: u64,
    /// If the source is right, the true rate differs by at most this many millionths of it.
    pub bound: u32,
}

impl Rate {
    /// Rates outside are none: slower than an emulator that counts instructions, or faster than any
    /// processor.
    pub const PLAUSIBLE: RangeInclusive<u64> = 1_000_000..=10_000_000_000;

    /// Returns the slowest and the fastest rate that it may be.
    pub(super) fn range(&self) -> RangeInclusive<u64> {
        let most = u128::from(self.frequency) * u128::from(self.bound) / 1_000_000 + 1;
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        self.frequency.saturating_sub(most)..=self.frequency.saturating_add(most)
    }

    /// Returns how many millionths of this rate the other differs, rounded up.
    pub(super) fn distance(&self, other: u64) -> u32 {
        let difference = u128::from(self.frequency.abs_diff(other)) * 1_000_000;
        let millionths = difference.div_ceil(u128::from(self.frequency.max(1)));
        u32::try_from(millionths).unwrap_or(u32::MAX)
    }
}
