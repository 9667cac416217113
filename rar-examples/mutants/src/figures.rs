//! What the results come to, for each library.

use comfy_table::CellAlignment;
use rar_harness::text::table;
use serde::Serialize;

use crate::kept::{Kept, Sources};
use crate::mutant::Mutant;
use crate::outcomes::Outcome;
use crate::plan::Library;

/// The part of viable mutants that tests must kill, in percent.
pub const LEAST_KILLED: f64 = 95.0;

/// The mutants of one library, counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The library.
    pub package: String,
    /// Those that compile.
    pub viable: usize,
    /// Those that a failing test killed.
    pub killed: usize,
    /// Of them, those that only tests of another package killed.
    pub killed_elsewhere: usize,
    /// Those whose tests did not end: no run of them passes.
    pub timed_out: usize,
    /// Those that passed every level.
    pub survived: usize,
    /// Those that do not compile.
    pub unviable: usize,
    /// Those that were not judged, or not against every level yet.
    pub not_judged: usize,
}

impl Figures {
    /// Counts the mutants of a library.
    #[must_use]
    pub fn of(library: &Library, mutants: &[&Mutant], kept: &Kept, sources: &Sources) -> Self {
        let mut figures = Self {
            package: library.package.to_owned(),
            ..Self::default()
        };
        for mutant in mutants {
            let record = match kept.of(mutant, sources) {
                Some(record) if kept.next_level(mutant, library, sources).is_none() => record,
                _ => {
                    figures.not_judged += 1;
                    continue;
                }
            };
            let is_own = library
                .levels
                .iter()
                .any(|level| level.name == record.level && level.package == library.package);
            match record.outcome {
                Outcome::Killed => {
                    figures.killed += 1;
                    figures.killed_elsewhere += usize::from(!is_own);
                }
                Outcome::TimedOut => figures.timed_out += 1,
                Outcome::Survived => figures.survived += 1,
                Outcome::Unviable => figures.unviable += 1,
            }
        }
        figures.viable = figures.killed + figures.timed_out + figures.survived;
        figures
    }

    /// Returns the sum, under another name.
    #[must_use]
    pub fn sum(all: &[Self]) -> Self {
        let mut sum = Self {
            package: "all".to_owned(),
            ..Self::default()
        };
        for one in all {
            sum.viable += one.viable;
            sum.killed += one.killed;
            sum.killed_elsewhere += one.killed_elsewhere;
            sum.timed_out += one.timed_out;
            sum.survived += one.survived;
            sum.unviable += one.unviable;
            sum.not_judged += one.not_judged;
        }
        sum
    }

    /// Returns the part of viable mutants that did not survive, in percent; `None` without any.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are a few thousand mutants"
    )]
    pub fn percent(&self) -> Option<f64> {
        let caught = self.killed + self.timed_out;
        (self.viable > 0).then(|| 100.0 * caught as f64 / self.viable as f64)
    }

    /// Returns the cells of a row, after the names of [`COLUMNS`].
    #[must_use]
    pub fn cells(&self) -> [String; 9] {
        // Rounded down: 94.96 is not 95.0.
        let percent = self.percent().map_or("-".to_owned(), |percent| {
            format!("{:.1} %", (percent * 10.0).floor() / 10.0)
        });
        [
            self.package.clone(),
            self.viable.to_string(),
            self.killed.to_string(),
            self.killed_elsewhere.to_string(),
            self.timed_out.to_string(),
            self.survived.to_string(),
            percent,
            self.unviable.to_string(),
            self.not_judged.to_string(),
        ]
    }
}

/// The columns of the table.
pub const COLUMNS: [&str; 9] = [
    "library",
    "viable",
    "killed",
    "elsewhere",
    "timed out",
    "survived",
    "caught",
    "unviable",
    "not judged",
];

/// Returns the table, with the sum below if there are several libraries.
#[must_use]
pub fn render(all: &[Figures]) -> String {
    let mut table = table(&COLUMNS);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for one in all {
        table.add_row(one.cells());
    }
    if all.len() > 1 {
        table.add_row(Figures::sum(all).cells());
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::tests::mutant;
    use crate::plan::LIBRARIES;

    #[test]
    fn each_outcome_is_counted_once_and_a_survivor_of_a_few_levels_is_not_judged() {
        let folder = tempfile::tempdir().unwrap();
        let library = &LIBRARIES[3];
        let [quick, own, last, ..] = library.levels else {
            panic!("{library:?}")
        };
        let mut kept = Kept::read(folder.path()).unwrap();
        let sources = Sources::default();
        let outcomes = [
            (Outcome::Killed, quick),
            (Outcome::Killed, own),
            (Outcome::Killed, last),
            (Outcome::TimedOut, own),
            (Outcome::Survived, last),
            (Outcome::Survived, own),
            (Outcome::Unviable, own),
        ];
        let mutants: Vec<_> = (0..8).map(|line| mutant("a.rs", line, "b")).collect();
        for (mutant, (outcome, level)) in mutants.iter().zip(outcomes) {
            kept.add(mutant, outcome, level, &sources);
        }
        let mutants: Vec<_> = mutants.iter().collect();
        let figures = Figures::of(library, &mutants, &kept, &sources);
        let expected = Figures {
            package: "rar-shootdown".to_owned(),
            viable: 5,
            killed: 3,
            killed_elsewhere: 1,
            timed_out: 1,
            survived: 1,
            unviable: 1,
            not_judged: 2,
        };
        assert_eq!(figures, expected);
        assert_eq!(figures.percent(), Some(80.0));
        assert_eq!(Figures::default().percent(), None);
        assert_eq!(Figures::sum(&[figures.clone(), figures]).viable, 10);
    }

    #[test]
    fn a_percentage_is_never_rounded_up() {
        let figures = Figures {
            viable: 10_000,
            killed: 9_496,
            ..Figures::default()
        };
        assert_eq!(figures.cells()[6], "94.9 %");
    }
}
