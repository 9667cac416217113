//! What a validation run shows.

use core::fmt;
use core::str::FromStr;

/// What a validation run shows, as the kernel of the boot image says it at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that ran was violated, and something ran.
    Holds,
    /// Something did not hold.
    Violated,
    /// A backend did not come to its end, or the driver refused one that is there.
    Incomplete,
    /// No test ran.
    NothingRan,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 4] = [
        Self::Holds,
        Self::Violated,
        Self::Incomplete,
        Self::NothingRan,
    ];

    /// Returns the words on the console and on the screen; all but the first stand out.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "VIOLATED",
            Self::Incomplete => "INCOMPLETE",
            Self::NothingRan => "nothing ran",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No verdict has these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVerdict;

impl fmt::Display for UnknownVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a verdict is one of: holds, VIOLATED, INCOMPLETE, nothing ran")
    }
}

impl core::error::Error for UnknownVerdict {}

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(words: &str) -> Result<Self, UnknownVerdict> {
        let mut all = Self::ALL.into_iter();
        all.find(|verdict| verdict.name() == words)
            .ok_or(UnknownVerdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_read_back() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.name().parse(), Ok(verdict));
        }
        assert_eq!("violated".parse::<Verdict>(), Err(UnknownVerdict));
    }
}
