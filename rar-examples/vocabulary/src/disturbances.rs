//! What came from outside while a test ran.

use core::fmt;
use core::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What came from outside while a test ran, or a point was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disturbances {
    /// NMIs that no code asked for, on all CPUs.
    pub nmis: u64,
    /// Other interrupts that no code asked for, on all CPUs.
    pub strays: u64,
    /// How often a CPU lost time: one that waited and read its clock all the while found that it
    /// had not run. SMIs and hypervisors do that.
    pub gaps: u64,
    /// The most time that was lost at once, in microseconds.
    pub longest_gap: u64,
}

impl Disturbances {
    /// Nothing came.
    pub const NONE: Self = Self {
        nmis: 0,
        strays: 0,
        gaps: 0,
        longest_gap: 0,
    };

    /// Returns whether nothing came.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Returns how many interrupts came that no code asked for.
    #[must_use]
    pub const fn interrupts(&self) -> u64 {
        self.nmis.saturating_add(self.strays)
    }
}

/// Counts add up; the longest gap of two is the longer one.
impl AddAssign for Disturbances {
    fn add_assign(&mut self, more: Self) {
        self.nmis = self.nmis.saturating_add(more.nmis);
        self.strays = self.strays.saturating_add(more.strays);
        self.gaps = self.gaps.saturating_add(more.gaps);
        self.longest_gap = self.longest_gap.max(more.longest_gap);
    }
}

/// What came, as a list; nothing for nothing.
impl fmt::Display for Disturbances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for (count, one, more) in [
            (self.nmis, "foreign NMI", "foreign NMIs"),
            (self.strays, "stray interrupt", "stray interrupts"),
            (self.gaps, "gap of up to", "gaps of up to"),
        ] {
            if count > 0 {
                let word = if count == 1 { one } else { more };
                write!(f, "{before}{count} {word}")?;
                before = ", ";
            }
        }
        if self.gaps > 0 {
            write!(f, " {} us", self.longest_gap)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn only_what_came_is_said() {
        assert_eq!(Disturbances::NONE.to_string(), "");
        let mut some = Disturbances {
            strays: 1,
            gaps: 2,
            longest_gap: 150,
            ..Disturbances::NONE
        };
        assert_eq!(
            some.to_string(),
            "1 stray interrupt, 2 gaps of up to 150 us"
        );
        some += Disturbances {
            nmis: 3,
            gaps: 1,
            longest_gap: 90,
            ..Disturbances::NONE
        };
        let all = "3 foreign NMIs, 1 stray interrupt, 3 gaps of up to 150 us";
        assert_eq!(some.to_string(), all);
        assert_eq!(some.interrupts(), 4);
        assert!(!some.is_none());
    }
}
