//! The runs as JSON.

use serde::Serialize;

use super::runs::{Cell, Row, Test, Verdict};
use super::{Defect, Report, Summary};

impl Report {
    /// Returns everything as JSON.
    #[must_use]
    pub fn to_json(&self) -> impl Serialize + use<> {
        let row = |row: &Row| Defective {
            defect: row.defect.map(Defect::name),
            describe: row.defect.map(Defect::describe),
            same_as: self.same_as(row).map(Defect::name),
            verdict: row.defect.map(|_| row.verdict(&self.tests, &self.control)),
            tests: row.cells.clone(),
        };
        Json {
            summary: self.summary(),
            problems: self.problems(),
            tests: self.tests.clone(),
            control: row(&self.control),
            defects: self.rows.iter().map(row).collect(),
        }
    }
}

#[derive(Serialize)]
struct Json {
    summary: Summary,
    problems: Vec<String>,
    tests: Vec<Test>,
    control: Defective,
    defects: Vec<Defective>,
}

#[derive(Serialize)]
struct Defective {
    defect: Option<&'static str>,
    describe: Option<&'static str>,
    same_as: Option<&'static str>,
    verdict: Option<Verdict>,
    /// In the order of the tests.
    tests: Vec<Cell>,
}
