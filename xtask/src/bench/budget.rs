//! What each case may cost.

use super::Count;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// By how much a count may grow: what a change elsewhere in the program can do, by what the compiler inlines.
const PERCENT: u64 = 2;
const INSTRUCTIONS: u64 = 2;

/// What starts the names of cases that are no code of this workspace's libraries: they have no budget.
const OTHERS: [&str; 2] = ["C ", "floor "];

/// Instructions by case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budgets {
    /// The compiler, as it prints its version: another one makes other code.
    pub(super) rustc: String,
    counts: BTreeMap<String, u64>,
}

impl Budgets {
    /// Returns the counts as budgets.
    pub(super) fn new(rustc: String, counts: &[Count]) -> Self {
        let counts = counts.iter().filter(|count| has_budget(count));
        Self {
            rustc,
            counts: counts
                .map(|count| (count.case.clone(), count.instructions))
                .collect(),
        }
    }

    /// Returns how many cases there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Reads budgets.
    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .context("the budgets cannot be read; `cargo xtask bench --bless` makes them anew")
    }

    /// Returns the budgets as a file, one line for each case.
    pub(super) fn render(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// Returns whether a case is the libraries' own.
pub(super) fn has_budget(count: &Count) -> bool {
    !OTHERS.iter().any(|start| count.case.starts_with(start))
}

/// Returns what is wrong, one line for each case.
pub(super) fn compare(budgets: &Budgets, counts: &[Count], filter: Option<&str>) -> Vec<String> {
    let mut broken = Vec::new();
    for Count { case, instructions } in counts.iter().filter(|count| has_budget(count)) {
        let Some(budget) = budgets.counts.get(case) else {
            broken.push(format!(
                "{case}: no budget (got {instructions}, expected an entry); `cargo xtask bench --bless` adds it"
            ));
            continue;
        };
        // Both have to be exceeded: 2 % of a short case is less than one instruction.
        let grown = instructions.saturating_sub(*budget);
        if grown > INSTRUCTIONS && grown * 100 > budget * PERCENT {
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
        format!("{case}: not counted (got nothing, expected a count); `cargo xtask bench --bless` removes it")
    }));
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: u64) -> Vec<Count> {
        vec![Count {
            case: "flush 1/64".to_owned(),
            instructions,
        }]
    }

    fn broken(budget: u64, instructions: u64) -> Vec<String> {
        let budgets = Budgets::new("rustc 1.2.3".to_owned(), &counts(budget));
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
    fn what_is_compared_with_has_no_budget() {
        let floor = [Count {
            case: "floor 1/64".to_owned(),
            instructions: 82,
        }];
        assert_eq!(Budgets::new(String::new(), &floor).len(), 0);
        assert!(compare(&Budgets::default(), &floor, None).is_empty());
    }
}
