//! All scenarios and all mutants, and the page about them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::invariant::{Invariant, Judged};
use crate::model::Model;
use crate::mutant::Mutant;
use crate::scenario::Scenario;
use crate::search::{Found, Run};
use crate::transition::Transition;

/// What was explored and found.
#[derive(Debug, Default)]
pub struct Report {
    /// Each scenario with what was found.
    pub scenarios: Vec<(Scenario, Found)>,
    /// Each mutant with the run that shows it, and all invariants that broke as early.
    pub mutants: Vec<(Mutant, Option<Run>, u32)>,
    /// The kinds of histories that were replayed.
    pub traces: Vec<Traces>,
    /// It has every scenario and every mutant.
    pub is_whole: bool,
}

/// Histories of one kind, replayed through the model.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The kind.
    pub name: &'static str,
    /// How many were replayed.
    pub histories: u64,
    /// How many events they have.
    pub events: usize,
    /// How many show what the kind is about.
    pub shown: u64,
    /// The replay notices that a flush was taken out of the first history.
    pub is_strict: bool,
    /// How many are no run of the model.
    pub diverged: u64,
    /// How the first of those differs.
    pub first: Option<String>,
    /// The unit is broken: most must diverge.
    pub is_broken: bool,
}

impl Traces {
    /// Returns what is wrong with them.
    fn problem(&self) -> Option<String> {
        let Self {
            name,
            histories,
            events: _,
            shown,
            is_strict,
            diverged,
            first,
            is_broken,
        } = self;
        match is_broken {
            true if diverged < histories => Some(format!(
                "traces {name}: broken units were not noticed (got {diverged} of {histories})"
            )),
            true => None,
            false => match first {
                Some(first) => Some(format!("traces {name}: {first}")),
                None if !is_strict => Some(format!(
                    "traces {name}: a flush that was taken out is not noticed"
                )),
                None if *shown == 0 => Some(format!(
                    "traces {name}: no history shows what they are about"
                )),
                None => None,
            },
        }
    }
}

/// The report as JSON.
#[derive(Debug, Serialize)]
pub struct Json {
    scenarios: Vec<JsonScenario>,
    mutants: Vec<JsonMutant>,
    /// The sum of the scenarios.
    pub states: u64,
    /// Mutants that break the invariant that they should.
    pub caught: usize,
    /// What went wrong.
    pub problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct JsonScenario {
    name: &'static str,
    states: u64,
    steps: u64,
    depth: u32,
    broken: String,
}

#[derive(Debug, Serialize)]
struct JsonMutant {
    name: &'static str,
    breaks: String,
    found: String,
    steps: usize,
}

/// Explores a mutant until it breaks the invariant that it should.
#[must_use]
pub fn explore_mutant(mutant: Mutant) -> (Option<Run>, u32) {
    let named = |scenario: &&Scenario| scenario.name == mutant.scenario();
    let Some(scenario) = Scenario::ALL.iter().find(named) else {
        return (None, 0);
    };
    let model = Model {
        scenario: *scenario,
        mutant: Some(mutant),
    };
    let found = model.search(mutant.breaks().bit());
    (found.broken, found.also)
}

impl Report {
    /// Returns how many states all scenarios have.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.scenarios.iter().map(|(_, found)| found.states).sum()
    }

    /// Returns how many mutants break the invariant that they should.
    #[must_use]
    pub fn caught(&self) -> usize {
        self.mutants
            .iter()
            .filter(|(_, run, _)| run.is_some())
            .count()
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (scenario, found) in &self.scenarios {
            if let Some(run) = &found.broken {
                let names = Invariant::names(run.broken);
                problems.push(format!("{}: breaks {names}\n{run}", scenario.name));
            } else {
                let missed = scenario.reaches.iter();
                let missed = missed.filter(|one| !found.made.contains(one));
                let name = scenario.name;
                problems.extend(missed.map(|one| format!("{name}: no run makes {one:?}")));
            }
        }
        for (mutant, run, also) in &self.mutants {
            if run.is_none() {
                problems.push(format!(
                    "mutant {}: not caught in `{}` (got {}, expected {})",
                    mutant.name(),
                    mutant.scenario(),
                    match also {
                        0 => "nothing".to_owned(),
                        set => Invariant::names(*set),
                    },
                    mutant.breaks().name()
                ));
            }
        }
        problems.extend(self.traces.iter().filter_map(Traces::problem));
        if self.is_whole {
            problems.extend(self.idle().map(|one| format!("no scenario makes {one:?}")));
        }
        problems
    }

    /// Returns the transitions that no scenario makes.
    fn idle(&self) -> impl Iterator<Item = Transition> + '_ {
        let made: BTreeSet<_> = self
            .scenarios
            .iter()
            .flat_map(|(_, found)| found.made.iter().copied())
            .collect();
        Transition::ALL
            .iter()
            .copied()
            .filter(move |one| !made.contains(one))
    }

    /// Returns the report as JSON, with all problems.
    #[must_use]
    pub fn json(&self, problems: &[String]) -> Json {
        Json {
            scenarios: self
                .scenarios
                .iter()
                .map(|(scenario, found)| JsonScenario {
                    name: scenario.name,
                    states: found.states,
                    steps: found.steps,
                    depth: found.depth,
                    broken: found
                        .broken
                        .as_ref()
                        .map_or_else(String::new, |run| Invariant::names(run.broken)),
                })
                .collect(),
            mutants: self
                .mutants
                .iter()
                .map(|(mutant, run, also)| JsonMutant {
                    name: mutant.name(),
                    breaks: mutant.breaks().name(),
                    found: Invariant::names(*also),
                    steps: run.as_ref().map_or(0, |run| run.steps.len()),
                })
                .collect(),
            states: self.states(),
            caught: self.caught(),
            problems: problems.to_vec(),
        }
    }

    /// Returns the rows of the page for the scenarios and mutants that were explored.
    #[must_use]
    pub fn rows(&self) -> (Vec<String>, Vec<String>) {
        let scenarios = self.scenarios.iter().map(|(scenario, found)| {
            format!(
                "| `{}` | {} | {} | {} | {} |",
                scenario.name, scenario.about, found.states, found.steps, found.depth
            )
        });
        let mutants = self.mutants.iter().map(|(mutant, run, _)| {
            format!(
                "| `{}` | {} | {} | `{}` | {} |",
                mutant.name(),
                mutant.about(),
                mutant.breaks().name(),
                mutant.scenario(),
                run.as_ref().map_or(0, |run| run.steps.len())
            )
        });
        (scenarios.collect(), mutants.collect())
    }

    /// Returns the page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let (scenarios, mutants) = self.rows();
        let mut page = include_str!("page.txt")
            .replace("{states}", &self.states().to_string())
            .replace("{mutants}", &self.mutants.len().to_string())
            .replace("{scenarios}", &scenarios.join("\n"))
            .replace("{mutant rows}", &mutants.join("\n"));
        let mut invariants = String::new();
        for invariant in Invariant::ALL {
            let (place, what) = match invariant.judged() {
                Judged::Here(what) => ("yes", what),
                Judged::Elsewhere(what) => ("no", what),
            };
            let _ = writeln!(invariants, "| {} | {place} | {what} |", invariant.name());
        }
        page = page.replace("{invariants}", invariants.trim_end());
        let mut transitions = String::new();
        for one in Transition::ALL {
            let _ = writeln!(transitions, "| `{one:?}` | {} |", one.function());
        }
        page.replace("{transitions}", transitions.trim_end())
    }

    /// Returns how a page differs from what was explored: as a whole, or in the rows of a part.
    #[must_use]
    pub fn outdated(&self, page: &str, name: &str) -> Option<String> {
        let (scenarios, mutants) = self.rows();
        let is_current = match self.is_whole {
            true => page == self.markdown(),
            false => scenarios
                .iter()
                .chain(&mutants)
                .all(|row| page.contains(row)),
        };
        (!is_current).then(|| {
            format!(
                "{name} is out of date: `cargo xtask protocol --markdown {name}` writes it anew"
            )
        })
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, (action, state)) in self.steps.iter().enumerate() {
            let actor = match action.what.actor() {
                crate::transition::Actor::Initiator => "initiator",
                crate::transition::Actor::Unit => "unit",
                crate::transition::Actor::Target => "target",
            };
            let to = action
                .what
                .concerns()
                .map_or_else(String::new, |what| format!(" {what} {}", action.to));
            writeln!(
                f,
                "{:3}. {actor} {}: {:?}{to}   [{}]",
                number + 1,
                action.who,
                action.what,
                action.what.function()
            )?;
            writeln!(f, "       {}", state.summary())?;
        }
        write!(f, "     breaks {}", Invariant::names(self.broken))
    }
}
