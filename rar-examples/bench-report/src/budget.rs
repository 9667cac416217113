//! What each case may cost.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::figures::Count;
use crate::figures::Moved;

/// By how much a count may grow: what a change elsewhere in the program can do, by what the
/// compiler inlines.
const PERCENT: u32 = 2;
const INSTRUCTIONS: u64 = 2;

/// By how many transfers a figure of lines may grow besides: the last digit that is kept.
const TRANSFERS: f64 = 0.02;

/// What starts the names of cases that are no code of this workspace's libraries: they have no
/// budget.
const OTHERS: [&str; 2] = ["C ", "floor "];

/// Instructions by case, and lines by case and by kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budgets {
    /// The compiler, as it prints its version: another one makes other code.
    pub rustc: String,
    counts: BTreeMap<String, u64>,
    #[serde(default)]
    lines: BTreeMap<String, f64>,
}

impl Budgets {
    /// Returns the counts as budgets.
    pub fn new(rustc: String, counts: &[Count], moved: &[Moved]) -> Self {
        let counts = counts.iter().filter(|count| has_budget(count));
        Self {
            rustc,
            counts: counts
                .map(|count| (count.case.clone(), count.instructions))
                .collect(),
            lines: figures(moved).collect(),
        }
    }

    /// Returns the same with other budgets of lines.
    pub fn with_lines(self, moved: &[Moved]) -> Self {
        let lines = figures(moved).collect();
        Self { lines, ..self }
    }

    /// Returns how many figures there are.
    pub fn count(&self) -> usize {
        self.counts.len() + self.lines.len()
    }

    /// Reads budgets.
    ///
    /// # Errors
    ///
    /// The text is not a file of budgets.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .context("the budgets cannot be read; `cargo xtask bench --bless` makes them anew")
    }

    /// Returns the budgets as a file, one line for each case.
    ///
    /// # Errors
    ///
    /// A figure that JSON cannot hold.
    pub fn render(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// What separates the name of a case from that of a kind.
const KIND: &str = ": ";

/// Returns the figures of the cases that are the libraries' own: of all kinds together, and of
/// each.
fn figures(moved: &[Moved]) -> impl Iterator<Item = (String, f64)> {
    let own = moved.iter().filter(|case| case.design.starts_with("flush"));
    own.flat_map(|case| {
        let kinds = case.kinds.iter();
        let of_kinds = kinds.map(|(kind, figure)| (format!("{}{KIND}{kind}", case.case), *figure));
        std::iter::once((case.case.clone(), case.transfers)).chain(of_kinds)
    })
}

/// Returns what is wrong with the lines, one entry for each figure.
pub fn compare_lines(budgets: &Budgets, moved: &[Moved], filter: Option<&str>) -> Vec<String> {
    let mut broken = Vec::new();
    for (figure, transfers) in figures(moved) {
        let of_kind = figure.contains(KIND);
        let budget = budgets.lines.get(&figure).copied();
        // A kind that did not move has no budget.
        let Some(budget) = budget.or(of_kind.then_some(0.0)) else {
            broken.push(format!(
                "{figure}: no budget (got {transfers}, expected an entry); \
                 `cargo xtask bench --bless` adds it"
            ));
            continue;
        };
        let most = budget * (1.0 + f64::from(PERCENT) / 100.0);
        if transfers > most && transfers > budget + TRANSFERS {
            broken.push(format!(
                "{figure}: more lines move (got {transfers}, expected {budget}); \
                 make it cheaper, or accept it with `cargo xtask bench --bless`"
            ));
        }
    }
    let is_measured = |name: &str| moved.iter().any(|case| case.case == name);
    let is_wanted = |name: &str| filter.is_none_or(|text| name.contains(text));
    let cases = budgets.lines.keys().filter(|figure| !figure.contains(KIND));
    let lost = cases.filter(|name| is_wanted(name) && !is_measured(name));
    broken.extend(lost.map(|name| {
        format!(
            "{name}: not measured (got nothing, expected transfers); \
         `cargo xtask bench --bless` removes it"
        )
    }));
    broken
}

/// Returns how many figures of lines are compared.
pub fn figures_compared(moved: &[Moved]) -> usize {
    figures(moved).count()
}

/// Returns whether a case is the libraries' own.
pub fn has_budget(count: &Count) -> bool {
    !OTHERS.iter().any(|start| count.case.starts_with(start))
}

/// Returns what is wrong, one line for each case.
pub fn compare(budgets: &Budgets, counts: &[Count], filter: Option<&str>) -> Vec<String> {
    let mut broken = Vec::new();
    for Count { case, instructions } in counts.iter().filter(|count| has_budget(count)) {
        let Some(budget) = budgets.counts.get(case) else {
            broken.push(format!(
                "{case}: no budget (got {instructions}, expected an entry); \
                 `cargo xtask bench --bless` adds it"
            ));
            continue;
        };
        // Both have to be exceeded: 2 % of a short case is less than one instruction.
        let grown = instructions.saturating_sub(*budget);
        if grown > INSTRUCTIONS && grown * 100 > budget * u64::from(PERCENT) {
            broken.push(format!(
                "{case}: more instructions (got {instructions}, expected {budget}); \
                 make it cheaper, or accept it with `cargo xtask bench --bless`"
            ));
        }
    }
    let is_counted = |case: &str| counts.iter().any(|count| count.case == case);
    let is_wanted = |case: &str| filter.is_none_or(|text| case.contains(text));
    let lost = budgets
        .counts
        .keys()
        .filter(|case| is_wanted(case) && !is_counted(case));
    broken.extend(lost.map(|case| {
        format!(
            "{case}: not counted (got nothing, expected a count); \
         `cargo xtask bench --bless` removes it"
        )
    }));
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::moved;

    fn counts(instructions: u64) -> Vec<Count> {
        vec![Count {
            case: "flush 1/64".to_owned(),
            instructions,
        }]
    }

    fn broken(budget: u64, instructions: u64) -> Vec<String> {
        let budgets = Budgets::new("rustc 1.2.3".to_owned(), &counts(budget), &[]);
        let budgets = Budgets::parse(&budgets.render().unwrap()).unwrap();
        compare(&budgets, &counts(instructions), None)
    }

    #[test]
    fn three_percent_more_is_too_much() {
        let lines = broken(1_000, 1_030);
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].starts_with("flush 1/64: more instructions (got 1030, expected 1000); "),
            "{}",
            lines[0]
        );
    }

    #[test]
    fn two_percent_and_two_instructions_are_not() {
        for (budget, count) in [(1_000, 1_020), (1_000, 900), (10, 12), (0, 2)] {
            assert_eq!(broken(budget, count), [""; 0], "{budget} {count}");
        }
        for (budget, count) in [(1_000, 1_021), (10, 13), (0, 3), (140, 143)] {
            assert_eq!(broken(budget, count).len(), 1, "{budget} {count}");
        }
    }

    #[test]
    fn a_case_on_one_side_only_is_an_error() {
        let budgets =
            Budgets::parse(r#"{"rustc": "", "counts": {"flush 1/64": 1, "poll 1/64": 1}}"#)
                .unwrap();
        let lines = compare(&budgets, &counts(1), None);
        assert!(lines[0].starts_with("poll 1/64: not counted"), "{lines:?}");
        assert!(compare(&budgets, &counts(1), Some("flush")).is_empty());
        let lines = compare(&Budgets::default(), &counts(1), None);
        assert!(lines[0].starts_with("flush 1/64: no budget"), "{lines:?}");
        assert!(Budgets::parse("[]").is_err());
    }

    #[test]
    fn lines_have_a_budget_for_each_kind() {
        let cases = [moved("flush", 1, 63), moved("floor", 1, 63)];
        let budgets = Budgets::default().with_lines(&cases);
        assert_eq!(budgets.count(), 3, "all, payload, vector: {budgets:?}");
        let budgets = Budgets::parse(&budgets.render().unwrap()).unwrap();
        assert_eq!(compare_lines(&budgets, &cases, None), [""; 0]);
        assert_eq!(compare_lines(&budgets, &[], Some("4 by")), [""; 0]);
        let start = |moved: &[Moved], start: &str| {
            let lines = compare_lines(&budgets, moved, None);
            assert!(
                lines.iter().any(|line| line.starts_with(start)),
                "{lines:?}"
            );
        };
        start(&[], "lines, flush, 1 by 63: not measured");
        start(&[moved("flush", 4, 63)], "lines, flush, 4 by 63: no budget");
        let mut more = moved("flush", 1, 63);
        more.kinds = vec![("vector".to_owned(), 258.0), ("identity".to_owned(), 0.5)];
        more.transfers = 320.0;
        let lines = compare_lines(&budgets, &[more], None);
        assert_eq!(
            lines.len(),
            2,
            "316 and 320 differ by less than 2 %: {lines:?}"
        );
        assert!(lines[0].starts_with(
            "lines, flush, 1 by 63: vector: more lines move (got 258, expected 252); "
        ));
        assert!(lines[1].starts_with(
            "lines, flush, 1 by 63: identity: more lines move (got 0.5, expected 0); "
        ));
    }

    #[test]
    fn what_is_compared_with_has_no_budget() {
        let floor = [Count {
            case: "floor 1/64".to_owned(),
            instructions: 82,
        }];
        assert_eq!(Budgets::new(String::new(), &floor, &[]).count(), 0);
        assert!(compare(&Budgets::default(), &floor, None).is_empty());
    }
}
