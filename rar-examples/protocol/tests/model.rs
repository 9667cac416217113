//! The model: small searches, mutants, and replays of its own runs.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test panics where a name or a step is missing"
)]

use std::collections::{BTreeSet, HashSet};

use rar_protocol::invariant::Invariant;
use rar_protocol::model::Model;
use rar_protocol::mutant::Mutant;
use rar_protocol::replay::{Event, Seen, Visible, doer, label, replay};
use rar_protocol::report::{Report, explore_mutant};
use rar_protocol::scenario::Scenario;
use rar_protocol::state::State;
use rar_protocol::symmetry::fingerprint;
use rar_protocol::transition::Transition;

fn named(name: &str) -> Model {
    let scenario = Scenario::ALL.iter().find(|one| one.name == name).unwrap();
    Model {
        scenario: *scenario,
        mutant: None,
    }
}

#[test]
fn two_cpus_that_flush_each_other_keep_every_invariant() {
    let found = named("each-other").search(u32::MAX);
    assert!(found.broken.is_none(), "{}", found.broken.unwrap());
    assert!(found.states > 5_000 && found.ends > 0, "{found:?}");
}

/// What a plain search meets, every state by the fingerprint that it shares with its like.
#[derive(Default, PartialEq, Eq)]
struct Met {
    states: HashSet<u64>,
    ends: HashSet<u64>,
    made: BTreeSet<Transition>,
    /// How many states there are if no two are alike.
    all: usize,
}

/// Searches without the parts of the search that leave states out, or with the steps made alone.
fn plain(model: &Model, alone: bool, keys: &dyn Fn(&State) -> u64) -> Met {
    let mut met = Met::default();
    let mut seen = HashSet::from([keys(&model.start())]);
    let mut left = vec![model.start()];
    while let Some(state) = left.pop() {
        assert_eq!(state.broken, 0, "{}", Invariant::names(state.broken));
        met.states.insert(fingerprint(&model.scenario, &state));
        let mut steps = Vec::new();
        let mut found = |action| {
            steps.extend(model.step(&state, action).map(|next| (action.what, next)));
        };
        if alone {
            model.explored(&state, &mut found);
        } else {
            model.candidates(&state, &mut found);
        }
        if steps.is_empty() {
            assert_eq!(model.judge_end(&state), 0);
            met.ends.insert(fingerprint(&model.scenario, &state));
        }
        for (what, next) in steps {
            met.made.insert(what);
            if seen.insert(keys(&next)) {
                left.push(next);
            }
        }
    }
    met.all = seen.len();
    met
}

#[test]
fn what_the_search_leaves_out_changes_no_end_and_no_step() {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    let one = |state: &State| BuildHasherDefault::<DefaultHasher>::default().hash_one(state);
    // One flush on each CPU, answered by units; and two, by software.
    let mut units = named("healthy");
    units.scenario.flushes = [1, 1];
    for model in [units, named("each-other")] {
        let name = model.scenario.name;
        let alike = |state: &State| fingerprint(&model.scenario, state);
        let whole = plain(&model, false, &one);
        let by_symmetry = plain(&model, false, &alike);
        let reduced = plain(&model, true, &alike);
        let found = model.search(u32::MAX);
        assert!(
            whole.all > by_symmetry.all && by_symmetry.all > reduced.all,
            "{name}"
        );
        // Symmetry: each state, or one like it, is met.
        assert!(whole.states == by_symmetry.states, "{name}");
        // Steps made alone: fewer states, the same steps, the same ends.
        assert!(reduced.states.is_subset(&whole.states), "{name}");
        assert!(
            reduced.ends == whole.ends && reduced.made == whole.made,
            "{name}"
        );
        assert_eq!(found.states, reduced.states.len() as u64, "{name}");
        assert_eq!(found.ends, reduced.ends.len() as u64, "{name}");
        assert!(found.made == whole.made, "{name}");
    }
}

#[test]
fn at_least_twelve_mutants_break_what_they_name() {
    assert!(Mutant::ALL.len() >= 12);
    for mutant in Mutant::ALL {
        assert!(
            Scenario::ALL
                .iter()
                .any(|one| one.name == mutant.scenario()),
            "{mutant:?}"
        );
    }
    // Those that take a moment.
    for mutant in [
        Mutant::EndsAtFirstAnswer,
        Mutant::ArmsBeforePayload,
        Mutant::SignalsItself,
        Mutant::SpinServesNothing,
        Mutant::TablesSkipLazy,
        Mutant::DeadLeftOpen,
    ] {
        let (run, also) = explore_mutant(mutant);
        let run = run.unwrap_or_else(|| panic!("{mutant:?}: {}", Invariant::names(also)));
        assert_ne!(run.broken & mutant.breaks().bit(), 0, "{mutant:?}\n{run}");
    }
}

#[test]
fn a_scenario_that_does_not_reach_its_path_is_a_problem() {
    let scenario = Scenario {
        budget: Scenario::ALL[0].budget,
        ..named("hung").scenario
    };
    let model = Model {
        scenario,
        mutant: None,
    };
    let report = Report {
        scenarios: vec![(scenario, model.search(u32::MAX))],
        ..Report::default()
    };
    let problems = report.problems();
    assert!(
        problems.contains(&"hung: no run makes Hang".to_owned()),
        "{problems:?}"
    );
}

/// A run of the model, by choices of a seed, as an outsider sees it.
fn run(model: &Model, seed: u64) -> Vec<Event> {
    let mut choice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut state = model.start();
    let mut events = Vec::new();
    loop {
        let mut steps = Vec::new();
        model.candidates(&state, &mut |action| {
            steps.extend(model.step(&state, action).map(|next| (action, next)));
        });
        if steps.is_empty() {
            return events;
        }
        choice ^= choice << 13;
        choice ^= choice >> 7;
        choice ^= choice << 17;
        let (action, next) = steps[choice as usize % steps.len()];
        let (before, after) = (Visible::of(&state), Visible::of(&next));
        let seen = label(action, &state);
        let seen = seen.or((before != after).then_some(Seen::Memory(after)));
        events.extend(seen.map(|seen| Event {
            who: doer(action),
            seen,
        }));
        state = next;
    }
}

#[test]
fn a_run_of_the_model_is_one_and_a_corrupted_one_is_not() {
    for name in ["healthy", "software", "lazy"] {
        let model = named(name);
        let events = run(&model, 7);
        assert!(events.len() > 20, "{name}: {events:?}");
        if let Err(divergence) = replay(&model, &events) {
            panic!("{name}: {divergence}");
        }
        // A flush that was not seen: an answer comes before it.
        let flush = events.iter().position(|event| event.seen == Seen::Flush);
        let mut without = events.clone();
        without.remove(flush.unwrap());
        assert!(
            replay(&model, &without).is_err(),
            "{name}: a flush was left out"
        );
        // A flush that returned before its last answer.
        let returned = Seen::Returned { flushed: true };
        let end = events
            .iter()
            .position(|event| event.seen == returned)
            .unwrap();
        let mut early = events.clone();
        let event = early.remove(end);
        early.insert(end.min(8), event);
        assert!(
            replay(&model, &early).is_err(),
            "{name}: a flush returned early"
        );
    }
}
