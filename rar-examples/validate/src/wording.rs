//! Counts in the words and colours of a report: tests hold, or are violated.

use core::fmt;

use rar_kernel::Ink;
use rar_vocabulary::Counts;

/// Returns each count with its word.
#[must_use]
pub fn worded(counts: &Counts) -> [(usize, &'static str); 4] {
    [
        (counts.passed, "hold"),
        (counts.failed, "VIOLATED"),
        (counts.observed, "observed"),
        (counts.skipped, "not run"),
    ]
}

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
        let mut space = "";
        for (count, word) in worded(self.0) {
            if count > 0 {
                write!(f, "{space}{count} {word}")?;
                space = " ";
            }
        }
        Ok(())
    }
}

/// Returns the colour of counts: the worst of them decides.
#[must_use]
pub fn ink_of(counts: &Counts) -> Ink {
    match counts {
        Counts { failed: 1.., .. } => Ink::Bad,
        Counts { observed: 1.., .. } => Ink::Note,
        Counts { passed: 1.., .. } => Ink::Good,
        _ => Ink::Faint,
    }
}

/// Returns the mark of counts, for a screen of one colour.
#[must_use]
pub fn mark_of(counts: &Counts) -> char {
    match ink_of(counts) {
        Ink::Bad => '!',
        Ink::Note => '?',
        Ink::Good => '+',
        _ => '-',
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
