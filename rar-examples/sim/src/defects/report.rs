//! The verdict of the runs on the catalogue, the suite and the driver.

use serde::Serialize;

use super::Defect;
use super::runs::{Row, Test, Verdict};

/// At least this many defects must be detected; otherwise the catalogue has shrunk.
const LEAST_CAUGHT: usize = 30;

/// The results of all runs.
#[derive(Clone, Debug)]
pub struct Report {
    /// The tests, one for each column.
    pub tests: Vec<Test>,
    /// The machine on which nothing is broken.
    pub control: Row,
    /// One for each defect.
    pub rows: Vec<Row>,
    /// Whether these are all defects of the catalogue.
    pub is_whole: bool,
}

/// How many defects ended in which way; two with the same effect count once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Different ones.
    pub defects: usize,
    /// Detected, and survived by the driver where that is possible.
    pub caught: usize,
    /// Of the detected, those that the driver survived.
    pub survived: usize,
    /// Not detected by any test.
    pub uncaught: usize,
    /// Not survived by the driver, although possible.
    pub not_survived: usize,
}

impl Report {
    /// Returns the counts.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for row in self.rows.iter().filter(|row| self.same_as(row).is_none()) {
            summary.defects += 1;
            match row.verdict(&self.tests, &self.control) {
                Verdict::Caught => summary.caught += 1,
                Verdict::Survived => {
                    summary.caught += 1;
                    summary.survived += 1;
                }
                Verdict::Uncaught => summary.uncaught += 1,
                Verdict::NotSurvived => summary.not_survived += 1,
            }
        }
        summary
    }

    /// Returns the problems of the suite, the driver and the catalogue, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (test, cell) in self.tests.iter().zip(&self.control.cells) {
            if !cell.is_right() {
                let why = cell.why();
                problems.push(format!("nothing is broken, and {} says: {why}", test.name));
            }
        }
        if !problems.is_empty() {
            // Such a suite proves nothing about defects.
            return problems;
        }
        for (row, name) in self.rows.iter().filter_map(|row| Some((row, row.defect?))) {
            match row.verdict(&self.tests, &self.control) {
                Verdict::Caught | Verdict::Survived => {}
                Verdict::Uncaught => problems.push(format!("no test detects {name}")),
                Verdict::NotSurvived => {
                    let seen = row.fatal(&self.tests).next().map(|(test, cell)| {
                        format!("{name} is not survived: {}: {}", test.name, cell.why())
                    });
                    problems.extend(seen);
                }
            }
        }
        let caught = self.summary().caught;
        if self.is_whole && caught < LEAST_CAUGHT {
            problems.push(format!(
                "{caught} defects caught, of {LEAST_CAUGHT} at least"
            ));
        }
        problems
    }

    /// Returns the tests that no defect makes fail or changes the observation of: nothing shows
    /// that they can fail.
    pub fn idle_tests(&self) -> impl Iterator<Item = &Test> {
        self.tests.iter().enumerate().filter_map(|(column, test)| {
            let right = self.control.cells.get(column);
            let differs = |row: &Row| row.cells.get(column) != right;
            (!self.rows.iter().any(differs)).then_some(test)
        })
    }

    /// Returns the earlier defect with the same effect.
    pub(super) fn same_as(&self, row: &Row) -> Option<Defect> {
        let defect = row.defect?;
        let is_same = |other: &&Row| other.defect.is_some_and(|other| other.is_same(defect));
        let first = self.rows.iter().find(is_same)?;
        first.defect.filter(|_| !std::ptr::eq(first, row))
    }
}

#[cfg(test)]
mod tests {
    use rar_model::Defect as UnitDefect;

    use super::*;
    use crate::defects::DriverDefect;
    use crate::defects::runs::Cell;

    const TESTS: [Test; 2] = [
        Test {
            name: "of-driver",
            below_driver: false,
        },
        Test {
            name: "of-units",
            below_driver: true,
        },
    ];
    const STALE: &str =
        "no stale translation after the flush: CPU 1, page 0: expected 0x1, found 0x0";

    fn failed(why: &str) -> Cell {
        Cell::Failed(why.to_owned())
    }

    fn report(control: [Cell; 2], rows: &[(Defect, [Cell; 2])]) -> Report {
        let row = |defect, cells: &[Cell; 2]| Row {
            defect,
            cells: cells.to_vec(),
        };
        Report {
            tests: TESTS.to_vec(),
            control: row(None, &control),
            rows: rows
                .iter()
                .map(|(defect, cells)| row(Some(*defect), cells))
                .collect(),
            is_whole: false,
        }
    }

    fn problems(rows: &[(Defect, [Cell; 2])]) -> Vec<String> {
        report([Cell::Passed, Cell::Passed], rows).problems()
    }

    const LIE: Defect = Defect::Unit(UnitDefect::SuccessWithoutFlush);
    const LOST: Defect = Defect::Unit(UnitDefect::SignalLost);
    const SLOTS: Defect = Defect::Driver(DriverDefect::SixSlots);

    #[test]
    fn an_undetected_defect_is_named() {
        let passed = || [Cell::Passed, Cell::Passed];
        assert_eq!(
            problems(&[(LIE, passed()), (SLOTS, passed())]),
            [
                "no test detects success-without-flush",
                "no test detects driver-six-slots"
            ]
        );
        assert!(problems(&[(LIE, [failed(STALE), Cell::Passed])]).is_empty());
        assert!(problems(&[(LIE, [Cell::Passed, failed("x")])]).is_empty());
    }

    #[test]
    fn a_test_that_is_skipped_tells_nothing() {
        let skipped = || Cell::Skipped("no units".to_owned());
        assert_eq!(problems(&[(LIE, [skipped(), skipped()])]).len(), 1);
    }

    #[test]
    fn a_test_that_only_observes_what_held_before_tells() {
        let observed = || Cell::Observed("otherwise".to_owned());
        let rows = [(LOST, [Cell::Passed, observed()])];
        assert!(problems(&rows).is_empty());
        // An observation that a correct unit causes too shows nothing.
        let always = report([Cell::Passed, observed()], &rows);
        assert_eq!(always.problems(), ["no test detects signal-lost"]);
    }

    #[test]
    fn a_stale_translation_is_not_survived_and_the_fallback_is() {
        let fallback = || Cell::ByOtherMeans(String::new());
        let hung = || Cell::BrokenOff("no end".to_owned());
        assert!(problems(&[(LOST, [fallback(), failed(STALE)])]).is_empty());
        for cell in [failed(STALE), hung()] {
            let rows = [(LOST, [cell, Cell::Passed])];
            let problems = problems(&rows);
            assert!(problems[0].starts_with("signal-lost is not survived: of-driver"));
            let summary = report([Cell::Passed, Cell::Passed], &rows).summary();
            assert_eq!((summary.caught, summary.not_survived), (0, 1));
        }
    }

    #[test]
    fn a_suite_that_fails_where_nothing_is_broken_proves_nothing() {
        let report = report([Cell::Passed, failed("x")], &[]);
        assert_eq!(
            report.problems(),
            ["nothing is broken, and of-units says: x"]
        );
    }

    #[test]
    fn one_change_with_two_names_counts_once() {
        assert!(LIE.is_same(LIE) && !LIE.is_same(LOST) && !LOST.is_same(SLOTS));
        let caught = || [failed(STALE), failed(STALE)];
        let rows = [(LIE, caught()), (SLOTS, caught()), (LIE, caught())];
        assert_eq!(report(caught(), &rows).summary().defects, 2);
    }
}
