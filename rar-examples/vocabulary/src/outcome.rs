//! How a test ended.

use core::fmt;

use serde::{Deserialize, Serialize};

/// How one test ended for one initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every assertion held, and every positive control was seen.
    Pass,
    /// An assertion did not hold.
    Fail,
    /// The machine has too few CPUs for the test or lacks what it needs; or no positive control
    /// was seen, so that nothing was shown.
    Skipped,
    /// Every assertion held, and no source says whether what was seen is right.
    Observed,
}

impl Outcome {
    /// Returns the name that records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
            Self::Observed => "observed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
