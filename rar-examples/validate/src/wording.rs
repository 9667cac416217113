//! Counts in the words of a report: tests hold, or are violated.

use core::fmt;

use rar_suite::Counts;

/// All counts.
#[derive(Clone, Copy, Debug)]
pub struct Full<'c>(pub &'c Counts);

impl fmt::Display for Full<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(counts) = self;
        write!(
            f,
            "{} hold, {} violated, {} observed, {} not run",
            counts.passed, counts.failed, counts.observed, counts.skipped
        )
    }
}

/// The counts that are not zero.
#[derive(Clone, Copy, Debug)]
pub struct Short<'c>(pub &'c Counts);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(counts) = self;
        let mut space = "";
        for (count, word) in [
            (counts.passed, "hold"),
            (counts.failed, "VIOLATED"),
            (counts.observed, "observed"),
            (counts.skipped, "not run"),
        ] {
            if count > 0 {
                write!(f, "{space}{count} {word}")?;
                space = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroes_are_left_out_of_the_short_form() {
        let mut counts = Counts::of(3, 1);
        assert_eq!(Short(&counts).to_string(), "3 hold 1 VIOLATED");
        counts.skipped = 2;
        let full = "3 hold, 1 violated, 0 observed, 2 not run";
        assert_eq!(Full(&counts).to_string(), full);
        assert_eq!(Short(&Counts::NONE).to_string(), "");
    }
}
