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

Everything that is known to go wrong with RAR: broken units, by the knobs of `rar-model`, and broken drivers, those of the
Linux series among them, made of the right one at its machine boundary. `cargo xtask defects` runs every test of the suite on a
simulated machine of {} CPUs with each of them, and fails if one goes unseen. {defects} defects are different from each other.

{survived} of them the driver survives: every test of the driver comes to its end without a stale translation, because it
waits, falls back, or never relies on what is broken. The suite tells of them all the same. The others deceive any driver: a
unit that says SUCCESS to what it has not done cannot be worked around, only found.

This page is written by `cargo xtask defects --markdown docs/defects.md`; `cargo xtask test` checks it. The tests named are
the first of each kind that tell of the defect; `cargo xtask defects` shows all. Where no source says what is right, a test does not
fail but observes what another unit does not show.

| defect | what is broken | test of the driver | test of the units | the driver |
|---|---|---|---|---|
",
            CPUS
        );
        for (row, defect) in self.rows.iter().filter_map(|row| Some((row, row.defect?))) {
            let first = |below| {
                let mut told = row.told_by(&self.tests, &self.control);
                told.find(|(test, _)| test.below_driver == below)
                    .map_or_else(String::new, |(test, cell)| {
                        let only = matches!(cell, Cell::Observed(_));
                        let note = if only { ", observed" } else { "" };
                        format!("`{}`{note}", test.name)
                    })
            };
            let fate = match defect.fate() {
                Fate::Fatal => "is deceived",
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
