//! The page about the catalogue, `docs/defects.md`.

use super::runs::Cell;
use super::{CPUS, Fate, Report, Summary};

impl Report {
    /// Returns the page about the catalogue.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Summary {
            defects, survived, ..
        } = self.summary();
        let mut page = format!(
            "# Defects

The known defects of RAR: broken units, made by the knobs of `rar-model`, and
broken drivers, among them those of the Linux series, made by altering the correct
driver at its `Machine` boundary. `cargo xtask defects` runs every test of the suite
on a simulated machine of {} CPUs with each defect, and fails if a defect is not
detected. {defects} defects differ from each other.

The driver survives {survived} of them: every test of the driver ends without a stale
use, because the driver waits, falls back, or never relies on the broken part. The
suite still detects them. No driver can work around the others: a unit that answers
SUCCESS without the flush can only be detected.

`cargo xtask defects --markdown docs/defects.md` writes this page, and
`cargo xtask test` checks it. Each row names the first test of each kind that detects
the defect; `cargo xtask defects` shows all. Where no source says which behaviour is
right, a test does not fail: it observes what a correct unit does not show.

| defect | what is broken | test of the driver | test of the units | the driver |
|---|---|---|---|---|
",
            CPUS
        );
        for (row, defect) in self.rows.iter().filter_map(|row| Some((row, row.defect?))) {
            let first = |below| {
                let mut detected = row.detected_by(&self.tests, &self.control);
                detected
                    .find(|(test, _)| test.below_driver == below)
                    .map_or_else(String::new, |(test, cell)| {
                        let only = matches!(cell, Cell::Observed(_));
                        let note = if only { ", observed" } else { "" };
                        format!("`{}`{note}", test.name)
                    })
            };
            let fate = match defect.fate() {
                Fate::Fatal => "cannot survive",
                Fate::Survived => "survives",
            };
            let (driver, units) = (first(false), first(true));
            page.push_str(&format!(
                "| `{defect}` | {} | {driver} | {units} | {fate} |\n",
                defect.describe()
            ));
        }
        page
    }
}
