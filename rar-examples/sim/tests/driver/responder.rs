//! The software responder against the unit: the same entries, the same vector, the same TLB. All
//! allowed differences are in `differences`.

mod cases;
mod differences;
mod sides;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rar_model::{Knobs, Outcome, PENDING, SUCCESS, Translation};

use cases::{armed, cached, entry, honest_units};
use differences::{Difference, Entry, bytes};
use sides::{by_software, by_unit, filled_in};

/// Compares how both sides treat one entry. Returns the difference, and whether both flushed
/// something.
fn compare(
    knobs: Knobs,
    words: [u64; 8],
    filled: &[Translation],
) -> Result<(Option<Difference>, bool), TestCaseError> {
    let entries = [(words, PENDING)];
    let before = filled_in(filled);
    let (unit, executions) = by_unit(knobs, &entries, filled);
    let software = by_software(&entries, filled);
    prop_assert_eq!(executions.len(), 1);
    let execution = &executions[0];
    let difference = Difference::of(execution, &knobs);
    let expected = bytes(difference, execution, &knobs);
    prop_assert_eq!(
        [unit.bytes[0], software.bytes[0]],
        expected,
        "{:?}",
        difference
    );

    // The responder executes the entry by instructions, or not at all.
    let entry = Entry(words);
    let mut left = before.clone();
    if software.bytes[0] == SUCCESS {
        left.retain(|held| !entry.drops_in_software(held));
    }
    prop_assert_eq!(&software.cached, &left, "{:?}", difference);

    // The unit flushes as much, or more, or nothing.
    if unit.bytes[0] != SUCCESS {
        prop_assert_eq!(&unit.cached, &before);
    }
    match difference {
        None => prop_assert_eq!(&unit.cached, &software.cached),
        Some(Difference::EveryContext) => {
            prop_assert!(
                software
                    .cached
                    .iter()
                    .all(|held| unit.cached.contains(held))
            );
        }
        Some(Difference::Reach) => {
            let of_stride = |held: &&Translation| held.size() == entry.stride();
            let [unit, software] = [&unit.cached, &software.cached]
                .map(|cached| cached.iter().filter(of_stride).collect::<Vec<_>>());
            prop_assert_eq!(unit, software);
        }
        Some(Difference::Cr3NotCompared | Difference::UnverifiedType) => {
            prop_assert_eq!(&unit.cached, &before);
        }
        Some(Difference::LenientUnit | Difference::WideCr3 | Difference::NarrowUnit) => {}
    }
    let both = matches!(
        difference,
        None | Some(Difference::EveryContext | Difference::Reach)
    ) && unit.bytes[0] == SUCCESS;
    if both {
        for held in unit.cached.iter().chain(&software.cached) {
            prop_assert!(!entry.names(held), "{:?} is left: {:?}", held, difference);
        }
    }
    let flushed = unit.cached.len() < before.len() && software.cached.len() < before.len();
    Ok((difference, both && flushed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1536))]

    #[test]
    fn one_entry_has_the_same_answer_and_effect_but_for_named_differences(
        knobs in honest_units(), words in entry(), filled in cached(),
    ) {
        compare(knobs, words, &filled)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_vector_is_answered_alike_but_for_named_differences(
        knobs in honest_units(),
        entries in prop::collection::vec((entry(), armed()), 0..=64),
        filled in cached(),
    ) {
        let (unit, executions) = by_unit(knobs, &entries, &filled);
        let software = by_software(&entries, &filled);
        let mut executed = vec![None; 64];
        for execution in &executions {
            // Each entry is executed once, even when the scan is repeated.
            prop_assert!(executed[usize::from(execution.index)].replace(execution).is_none());
        }
        let mut answers = [[0, 0], [0, 0]];
        let mut dropped: Vec<Entry> = Vec::new();
        let mut pending = 0;
        for (index, execution) in executed.into_iter().enumerate() {
            let (words, before) = entries.get(index).copied().unwrap_or(([0; 8], 0));
            let after = [unit.bytes[index], software.bytes[index]];
            if before != PENDING {
                prop_assert_eq!((after, execution), ([before; 2], None));
                continue;
            }
            pending += 1;
            for (answers, byte) in answers.iter_mut().zip(after) {
                if byte != PENDING {
                    answers[usize::from(byte != SUCCESS)] += 1;
                }
            }
            if let Some(execution) = execution {
                let difference = Difference::of(execution, &knobs);
                prop_assert_eq!(after, bytes(difference, execution, &knobs), "{:?}", difference);
                if execution.outcome == Outcome::Performed && after[1] == SUCCESS {
                    prop_assert!(!unit.cached.iter().any(|held| Entry(words).names(held)));
                }
            } else {
                // Only the responder reads bytes beyond the unit's table.
                prop_assert!(index >= usize::from(knobs.table.entries()));
                prop_assert_eq!(after[0], PENDING);
            }
            if after[1] == SUCCESS {
                dropped.push(Entry(words));
            }
        }
        prop_assert_eq!([&unit, &software].map(|side| [side.succeeded, side.failed]), answers);
        let mut left = filled_in(&filled);
        left.retain(|held| !dropped.iter().any(|entry| entry.drops_in_software(held)));
        // Entries are weighed before they are judged, so failing entries count too.
        if pending <= 4 {
            prop_assert_eq!(software.cached, left);
        } else {
            // More may be answered by one flush, which drops more and never less.
            prop_assert!(software.cached.iter().all(|held| left.contains(held)));
        }
    }
}

/// The random entries reach every difference, and agreement in both directions, so no comparison
/// above is vacuous.
#[test]
fn every_difference_occurs() {
    let mut runner = TestRunner::deterministic();
    let mut seen: Vec<Option<Difference>> = Vec::new();
    let mut flushed = 0;
    for _ in 0..1000 {
        let case = (honest_units(), entry(), cached());
        let (knobs, words, filled) = case.new_tree(&mut runner).unwrap().current();
        let (difference, both) = compare(knobs, words, &filled).unwrap();
        seen.push(difference);
        flushed += usize::from(both);
    }
    for difference in Difference::ALL {
        let count = seen.iter().filter(|one| **one == Some(difference)).count();
        assert!(count >= 10, "{difference:?}: {count}");
    }
    assert!(flushed >= 100, "{flushed} entries flushed something");
}
