//! What each case may cost.

use super::Count;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;

/// By how much a count may grow: what a change elsewhere in the program can do, by what the compiler inlines.
const PERCENT: u64 = 2;
const INSTRUCTIONS: u64 = 2;

/// Instructions by case.
pub(super) type Budgets = BTreeMap<String, u64>;

/// Reads budgets.
pub(super) fn parse(text: &str) -> Result<Budgets> {
    serde_json::from_str(text)
        .context("the budgets cannot be read; `cargo xtask bench --bless` makes them anew")
}

/// Returns the counts as budgets.
pub(super) fn render(counts: &[Count]) -> Result<String> {
    let budgets: Budgets = counts
        .iter()
        .map(|count| (count.case.clone(), count.instructions))
        .collect();
    Ok(serde_json::to_string_pretty(&budgets)? + "\n")
}

/// Returns what is wrong, one line for each case.
pub(super) fn compare(budgets: &Budgets, counts: &[Count], filter: Option<&str>) -> Vec<String> {
    let mut broken = Vec::new();
    for Count { case, instructions } in counts {
        let Some(budget) = budgets.get(case) else {
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
        let budgets = parse(&render(&counts(budget)).unwrap()).unwrap();
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
        let budgets = parse(r#"{"flush 1/64": 1, "poll 1/64": 1}"#).unwrap();
        let lines = compare(&budgets, &counts(1), None);
        assert!(lines[0].starts_with("poll 1/64: not counted"), "{lines:?}");
        assert!(compare(&budgets, &counts(1), Some("flush")).is_empty());
        let lines = compare(&Budgets::new(), &counts(1), None);
        assert!(lines[0].starts_with("flush 1/64: no budget"), "{lines:?}");
        assert!(parse("[]").is_err());
    }
}
