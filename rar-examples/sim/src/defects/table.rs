//! The matrix as a text table.

use comfy_table::{Table, presets};

use super::runs::{Cell, Row, Verdict};
use super::{Defect, Report};
use crate::defects::Test;

/// Names in one line of the legend.
const LEGEND_COLUMNS: usize = 4;

impl Report {
    /// Returns the matrix of defects and tests, with its legend below.
    #[must_use]
    pub fn matrix(&self) -> String {
        let below = |test: &&Test| test.below_driver;
        let of_units = self.tests.iter().filter(below).count();
        let of_driver = self.tests.len() - of_units;
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        table.set_header([
            "defect".to_owned(),
            numbers("tests of the driver", 1..=of_driver),
            numbers("tests of the units", of_driver + 1..=self.tests.len()),
            "verdict".to_owned(),
        ]);
        for row in std::iter::once(&self.control).chain(&self.rows) {
            let (driver, units) = row.cells.split_at(of_driver.min(row.cells.len()));
            let marks = |cells: &[Cell]| cells.iter().map(Cell::mark).collect::<String>();
            let name = row.defect.map_or("(nothing is broken)", Defect::name);
            table.add_row([
                name.to_owned(),
                marks(driver),
                marks(units),
                self.verdict(row),
            ]);
        }
        format!(
            "{table}\nX an assertion fails, o the fallback had to flush, ! no end, - skipped, : \
             observed, . passed\n{}",
            self.legend()
        )
    }

    fn verdict(&self, row: &Row) -> String {
        if row.defect.is_none() {
            let all = row.cells.iter().all(Cell::is_right);
            return if all { "passed" } else { "FAILED" }.to_owned();
        }
        if let Some(first) = self.same_as(row) {
            return format!("as {first}");
        }
        match row.verdict(&self.tests, &self.control) {
            Verdict::Caught => "caught",
            Verdict::Survived => "caught, survived",
            Verdict::Uncaught => "NOT CAUGHT",
            Verdict::NotSurvived => "NOT SURVIVED",
        }
        .to_owned()
    }

    fn legend(&self) -> String {
        let names: Vec<_> = self
            .tests
            .iter()
            .zip(1..)
            .map(|(test, number)| format!("{number:2} {:28}", test.name))
            .collect();
        let lines = names.chunks(names.len().div_ceil(LEGEND_COLUMNS).max(1));
        let columns: Vec<_> = lines.collect();
        let height = columns.first().map_or(0, |column| column.len());
        let mut legend = String::new();
        for line in 0..height {
            let words: String = columns
                .iter()
                .filter_map(|column| column.get(line))
                .map(String::as_str)
                .collect();
            legend.push_str(words.trim_end());
            legend.push('\n');
        }
        legend
    }
}

/// A header over columns of one character each: tens above units.
fn numbers(title: &str, columns: std::ops::RangeInclusive<usize>) -> String {
    let digit = |digit: usize| char::from_digit(u32::try_from(digit % 10).unwrap_or(0), 10);
    let tens: String = columns
        .clone()
        .filter_map(|column| digit(column / 10))
        .collect();
    let units: String = columns.filter_map(digit).collect();
    format!("{title}\n{tens}\n{units}")
}
