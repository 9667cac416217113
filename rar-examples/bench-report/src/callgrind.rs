//! What callgrind left: one part between two calls of the mark.

use anyhow::{Context as _, Result};
use rar_harness::exit_code::{Fault, Reason};

use crate::figures::Count;

/// The function at whose calls a part ends.
pub const MARK: &str = "rar_bench_mark";

/// Entering the first starts counting, entering one of the others stops it, and leaving undoes
/// either.
pub const TOGGLES: [&str; 2] = ["rar_bench_measured", "rar_bench_outside*"];

/// Each case has three parts: its preparation, N iterations, and three times as many.
const PARTS: usize = 3;

/// The case that measures nothing: what it costs, each measured call costs as well.
const NOTHING: &str = "nothing";

/// Returns the counts, from the program's list of cases and callgrind's parts in the same order.
///
/// # Errors
///
/// A list or parts that cannot be read, or parts that do not fit the list.
pub fn counts(list: &str, dumps: &str) -> Result<Vec<Count>> {
    let totals = totals(dumps)?;
    let cases: Vec<_> = list.lines().map(case).collect::<Result<_>>()?;
    // The last part is what follows the last mark.
    if totals.len() != PARTS * cases.len() + 1 {
        let message = format!(
            "callgrind: parts missing (got {}, expected {} for {} cases); is the mark inlined?",
            totals.len(),
            PARTS * cases.len() + 1,
            cases.len()
        );
        return Err(Fault::new(Reason::Failed, message).into());
    }
    let mut counts = Vec::new();
    for ((iterations, name), parts) in cases.iter().zip(totals.chunks(PARTS)) {
        let [_, fewer, more] = parts else { continue };
        let spent = more.checked_sub(*fewer).filter(|spent| *spent > 0);
        let spent = spent.with_context(|| format!("{name}: callgrind counted nothing"))?;
        counts.push(Count {
            case: (*name).to_owned(),
            // To the nearest: a case may do something rare.
            instructions: (spent + iterations / 2) / iterations,
        });
    }
    let (first, rest) = counts.split_first().context("the bench ran no case")?;
    let nothing = first.instructions;
    let is_first = first.case == NOTHING;
    is_first
        .then(|| {
            rest.iter()
                .map(|count| Count {
                    case: count.case.clone(),
                    instructions: count.instructions.saturating_sub(nothing),
                })
                .collect()
        })
        .with_context(|| format!("the first case is not `{NOTHING}`"))
}

/// Splits a line of the list: the iterations by which the two parts differ, and the name.
fn case(line: &str) -> Result<(u64, &str)> {
    line.split_once('\t')
        .and_then(|(iterations, name)| Some((iterations.parse().ok()?, name)))
        .filter(|(iterations, _)| *iterations > 0)
        .with_context(|| format!("the bench printed {line:?}, which is no case"))
}

/// Returns the total of each part.
fn totals(dumps: &str) -> Result<Vec<u64>> {
    dumps
        .lines()
        .filter_map(|line| line.strip_prefix("totals:"))
        .map(|total| {
            let total = total.trim();
            // With no event counted the line may be empty.
            if total.is_empty() {
                return Ok(0);
            }
            total
                .parse()
                .with_context(|| format!("callgrind wrote a total of {total:?}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumps(totals: &[u64]) -> String {
        let part = |(number, total): (usize, &u64)| {
            format!(
                "part: {number}\nevents: Ir\nsummary: {total}\nfn=(1) main\n1 2\n\
                 totals: {total}\n\n"
            )
        };
        totals.iter().enumerate().map(part).collect()
    }

    fn count(case: &str, instructions: u64) -> Count {
        Count {
            case: case.to_owned(),
            instructions,
        }
    }

    #[test]
    fn a_count_is_the_difference_of_two_parts_less_what_nothing_costs() {
        // 6 a call for nothing; 106 for the flush, and 40 once.
        let dumps = dumps(&[9, 60, 180, 500, 1_060 + 40, 3_180 + 40, 3]);
        let counts = counts("20\tnothing\n20\tflush 1/64\n", &dumps).unwrap();
        assert_eq!(counts, [count("flush 1/64", 100)]);
    }

    #[test]
    fn a_mark_that_was_not_seen_is_an_error() {
        let list = "20\tnothing\n20\tflush 1/64\n";
        let error = counts(list, &dumps(&[9, 60, 180, 500, 1_000, 3])).unwrap_err();
        assert!(error.to_string().contains("got 6, expected 7"), "{error}");
        let error = counts(list, &dumps(&[9, 60, 180, 500, 0, 0, 3])).unwrap_err();
        assert!(error.to_string().contains("flush 1/64"), "{error}");
        assert!(counts("", &dumps(&[0])).is_err());
        assert!(counts("warning: x\n", &dumps(&[0, 1, 3, 0])).is_err());
    }
}
