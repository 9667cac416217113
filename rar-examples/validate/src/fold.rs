//! What the screen shows of a run: one line for each group of tests.

use core::fmt;

use rar_kernel::Ink;
use rar_suite::Counts;

use crate::{Finished, Name, Short, ink_of, mark_of};

/// The line of the groups that did not run.
const NOT_RUN: &str = "not run";

/// A group of tests that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The group.
    pub group: Name,
    /// How the runs of its tests ended.
    pub counts: Counts,
    /// How many tests it has.
    pub tests: u32,
    /// How many points its tests measured.
    pub points: usize,
}

impl Folded {
    /// Returns the colour of the line.
    #[must_use]
    pub fn ink(&self) -> Ink {
        ink_of(&self.counts)
    }
}

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tests = if self.tests == 1 { "test" } else { "tests" };
        write!(
            f,
            "{} {:24}{:3} {tests:5}  ",
            mark_of(&self.counts),
            self.group.as_str(),
            self.tests
        )?;
        write!(f, "{}", Short(&self.counts))?;
        if self.points > 0 {
            write!(f, " {} points measured", self.points)?;
        }
        Ok(())
    }
}

/// Puts the tests of a group together as they end, and the groups that did not run, too.
#[derive(Clone, Debug)]
pub struct Fold {
    open: Option<Folded>,
    /// The groups before it that did not run.
    idle: Option<Folded>,
}

impl Fold {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            open: None,
            idle: None,
        }
    }

    /// Takes in a test that ended; returns the lines that its group's beginning completes.
    pub fn add(&mut self, group: &str, test: &Finished) -> [Option<Folded>; 2] {
        let ended = match &self.open {
            Some(open) if open.group.as_str() == group => [None, None],
            _ => self.end_group(),
        };
        let open = self.open.get_or_insert_with(|| Folded {
            group: Name::of(format_args!("{group}")),
            counts: Counts::NONE,
            tests: 0,
            points: 0,
        });
        open.counts += test.counts;
        open.tests += 1;
        open.points += test.points;
        ended
    }

    /// Ends everything; returns the lines that are left.
    pub fn end(&mut self) -> [Option<Folded>; 2] {
        let [idle, open] = self.end_group();
        [idle.or_else(|| self.idle.take()), open]
    }

    /// Ends the group that is open. A group that did not run waits for others of its kind.
    fn end_group(&mut self) -> [Option<Folded>; 2] {
        let Some(ended) = self.open.take() else {
            return [None, None];
        };
        if ended.ink() != Ink::Faint || ended.points > 0 {
            return [self.idle.take(), Some(ended)];
        }
        let idle = self.idle.get_or_insert_with(|| Folded {
            group: Name::of(format_args!("{NOT_RUN}")),
            counts: Counts::NONE,
            tests: 0,
            points: 0,
        });
        idle.counts += ended.counts;
        idle.tests += ended.tests;
        [None, None]
    }
}

impl Default for Fold {
    fn default() -> Self {
        Self::new()
    }
}

/// How far a run has come, as a bar of characters.
#[derive(Clone, Copy, Debug)]
pub struct ProgressBar {
    /// Runs that ended.
    pub done: u32,
    /// All runs.
    pub of: u32,
    /// How many characters the bar has between its brackets.
    pub columns: usize,
}

impl fmt::Display for ProgressBar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share =
            |room: u64| room * u64::from(self.done.min(self.of)) / u64::from(self.of.max(1));
        let full = usize::try_from(share(self.columns as u64)).unwrap_or(0);
        write!(
            f,
            "[{:#<full$}{:.<empty$}]",
            "",
            "",
            empty = self.columns - full
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(name: &str, counts: Counts) -> Finished {
        Finished {
            name: Name::of(format_args!("{name}")),
            counts,
            points: 0,
            disturbances: rar_vocabulary::Disturbances::NONE,
        }
    }

    const HOLDS: Counts = Counts {
        passed: 4,
        ..Counts::NONE
    };

    #[test]
    fn a_group_ends_with_the_first_test_of_another() {
        let mut fold = Fold::new();
        assert_eq!(fold.add("pages", &ended("one-page", HOLDS)), [None, None]);
        assert_eq!(fold.add("pages", &ended("pages-2", HOLDS)), [None, None]);
        let [None, Some(folded)] = fold.add("storms", &ended("storm", HOLDS)) else {
            panic!("{fold:?}")
        };
        assert_eq!((folded.tests, folded.counts.passed), (2, 8));
        assert_eq!(
            folded.to_string(),
            "+ pages                     2 tests  8 hold"
        );
        assert_eq!(fold.end()[1].as_ref().unwrap().group.as_str(), "storms");
        assert_eq!(fold.end(), [None, None]);
    }

    #[test]
    fn the_worst_outcome_decides_and_is_in_the_text() {
        let mut fold = Fold::new();
        for (counts, ink, start) in [
            (
                Counts {
                    skipped: 1,
                    ..Counts::of(1, 0)
                },
                Ink::Good,
                "+ ",
            ),
            (
                Counts {
                    observed: 1,
                    ..Counts::of(1, 0)
                },
                Ink::Note,
                "? ",
            ),
            (
                Counts {
                    observed: 1,
                    ..Counts::of(0, 1)
                },
                Ink::Bad,
                "! ",
            ),
        ] {
            fold.add("group", &ended("test", counts));
            let [None, Some(folded)] = fold.end() else {
                panic!("{fold:?}")
            };
            assert_eq!(folded.ink(), ink);
            assert!(folded.to_string().starts_with(start), "{folded}");
        }
    }

    #[test]
    fn groups_of_which_nothing_ran_are_one_line() {
        let skipped = Counts {
            skipped: 1,
            ..Counts::NONE
        };
        let mut fold = Fold::new();
        fold.add("pages", &ended("pages-2", HOLDS));
        // A test that did not run does not cut its group in two.
        assert_eq!(fold.add("pages", &ended("pages-3", skipped)), [None, None]);
        assert!(fold.add("storms", &ended("storm", skipped))[1].is_some());
        let nothing = fold.add("signals", &ended("unit-prompt", skipped));
        assert_eq!(nothing, [None, None]);
        let nothing = fold.add("delivery", &ended("unit-merge", HOLDS));
        assert_eq!(nothing, [None, None]);
        let [Some(idle), Some(ran)] = fold.end() else {
            panic!("{fold:?}")
        };
        assert_eq!(
            idle.to_string(),
            "- not run                   2 tests  2 not run"
        );
        assert_eq!(ran.group.as_str(), "delivery");
        fold.add("storms", &ended("storm", skipped));
        let [Some(idle), None] = fold.end() else {
            panic!("{fold:?}")
        };
        assert_eq!(idle.tests, 1);
    }

    #[test]
    fn a_bar_is_full_at_the_end_only() {
        let bar = |done, of| {
            ProgressBar {
                done,
                of,
                columns: 4,
            }
            .to_string()
        };
        assert_eq!(bar(0, 100), "[....]");
        assert_eq!(bar(99, 100), "[###.]");
        assert_eq!(bar(100, 100), "[####]");
        assert_eq!(bar(5, 0), "[....]");
    }
}
