//! How many ended how.

use core::fmt;
use core::ops::AddAssign;

use crate::Outcome;

/// How many tests, or runs of tests, ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Every assertion held.
    pub passed: usize,
    /// An assertion did not hold.
    pub failed: usize,
    /// They could not be run.
    pub skipped: usize,
    /// They ended with an observation.
    pub observed: usize,
}

impl Counts {
    /// Nothing.
    pub const NONE: Self = Self {
        passed: 0,
        failed: 0,
        skipped: 0,
        observed: 0,
    };

    /// Returns a count of what passed and what failed.
    #[must_use]
    pub const fn of(passed: usize, failed: usize) -> Self {
        Self {
            passed,
            failed,
            ..Self::NONE
        }
    }

    /// Counts one outcome.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Pass => self.passed += 1,
            Outcome::Fail => self.failed += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Observed => self.observed += 1,
        }
    }

    /// Returns how many were counted.
    #[must_use]
    pub const fn total(self) -> usize {
        self.passed + self.failed + self.skipped + self.observed
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.observed += other.observed;
    }
}

/// The summary line of a run: what passed and failed always, the rest where there is some.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        for (count, word) in [(self.observed, "observed"), (self.skipped, "skipped")] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn what_did_not_happen_is_not_named() {
        let mut counts = Counts::of(3, 0);
        assert_eq!(counts.to_string(), "3 passed, 0 failed");
        counts.add(Outcome::Fail);
        counts.add(Outcome::Skipped);
        counts.add(Outcome::Observed);
        counts += Counts::of(1, 0);
        assert_eq!(
            counts.to_string(),
            "4 passed, 1 failed, 1 observed, 1 skipped"
        );
        assert_eq!(counts.total(), 7);
    }
}
