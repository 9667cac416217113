//! The page of the documentation: figures, and the survivors with their reasons.

use std::collections::BTreeMap;

use crate::excuses::{Excuse, Excuses};
use crate::figures::{COLUMNS, Figures, LEAST_KILLED};
use crate::mutant::Mutant;
use crate::plan::{LIBRARIES, NOT_BUILT, NotBuilt};

/// What stands around the figures.
const FRAME: &str = include_str!("page.txt");

/// Returns the page.
#[must_use]
pub fn render(figures: &[Figures], survivors: &[&Mutant], excuses: &Excuses) -> String {
    let mut table = row(&COLUMNS);
    table.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for one in figures {
        table.push_str(&row(&one.cells()));
    }
    table.push_str(&row(&Figures::sum(figures).cells()));
    FRAME
        .replace("{least}", &LEAST_KILLED.to_string())
        .replace("{table}\n", &table)
        .replace("{tests}\n", &tests())
        .replace("{not built}\n", &not_built())
        .replace("{survivors}\n", &reasons(survivors, excuses))
}

fn tests() -> String {
    let lines = LIBRARIES.iter().map(|library| {
        let levels = library.levels.iter().map(|level| {
            let tests = match level.tests {
                [] => format!("`{}`", level.package),
                tests => format!("`{}` ({})", level.package, tests.join(", ")),
            };
            let own = level.files.iter();
            let own = own.filter_map(|file| file.strip_prefix(library.package));
            let files: Vec<_> = own.map(|file| file.trim_start_matches("/src/")).collect();
            match files.as_slice() {
                [] => tests,
                files => format!("{tests} for `{}`", files.join("`, `")),
            }
        });
        let levels: Vec<_> = levels.collect();
        format!("- `{}`: {}\n", library.package, levels.join(",\n  then "))
    });
    lines.collect()
}

fn not_built() -> String {
    let lines = NOT_BUILT.map(|NotBuilt { file, item, reason }| {
        let places = [file, item].into_iter().filter(|part| !part.is_empty());
        let places: Vec<_> = places.map(|part| format!("`{part}`")).collect();
        format!("- {}: compiled {reason}\n", places.join(", "))
    });
    lines.concat()
}

fn row<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Returns the survivors by file, each reason once.
fn reasons(survivors: &[&Mutant], excuses: &Excuses) -> String {
    let mut files: BTreeMap<&str, Vec<(&Mutant, Option<&Excuse>)>> = BTreeMap::new();
    for mutant in survivors {
        let entry = files.entry(&mutant.file).or_default();
        entry.push((mutant, excuses.of(mutant)));
    }
    if files.is_empty() {
        return "There is no survivor.\n".to_owned();
    }
    let mut text = String::from("| file | change | reason | killed by |\n|---|---|---|---|\n");
    for (file, mut all) in files {
        all.sort_by_key(|(mutant, _)| mutant.line());
        for (mutant, excuse) in all {
            let (reason, by) = excuse.map_or(("**none yet**", ""), |excuse| {
                (excuse.reason.as_str(), excuse.killed_by.as_str())
            });
            let place = format!("`{file}:{}`", mutant.line());
            let change = format!("`{}`", mutant.change().replace('|', "\\|"));
            text.push_str(&row(&[place.as_str(), &change, reason, by]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::tests::mutant;

    #[test]
    fn each_survivor_has_a_row_with_its_reason_or_the_lack_of_one() {
        let excuses = Excuses::parse(
            "[[excused]]\nfile = \"a.rs\"\nchanges = [\"replace | with ^ in f\"]\n\
             reason = \"no common bit\"\nkilled_by = \"qemu: one-page\"\n",
        )
        .unwrap();
        let known = mutant("a.rs", 7, "replace | with ^ in f");
        let unknown = mutant("a.rs", 3, "replace g with ()");
        let page = render(&[Figures::default()], &[&known, &unknown], &excuses);
        let rows: Vec<_> = page
            .lines()
            .filter(|line| line.contains("`a.rs:"))
            .collect();
        assert_eq!(
            rows,
            [
                "| `a.rs:3` | `replace g with ()` | **none yet** |  |",
                "| `a.rs:7` | `replace \\| with ^ in f` | no common bit | qemu: one-page |"
            ]
        );
        assert!(render(&[], &[], &excuses).contains("There is no survivor."));
    }
}
