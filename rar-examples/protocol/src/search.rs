//! The search: every state that a run can reach, in the order of their distance from the start.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use crate::model::Model;
use crate::state::State;
use crate::symmetry::fingerprint;
use crate::transition::Action;

/// The states are parted between as many threads, by their fingerprints.
const THREADS: usize = 2;

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// How many states a run can reach.
    pub states: u64,
    /// How many steps lead from them to states.
    pub steps: u64,
    /// How many steps the longest of the shortest ways to a state has.
    pub depth: u32,
    /// How many of the states have no next step.
    pub ends: u64,
    /// Which transitions were made.
    pub made: std::collections::BTreeSet<crate::transition::Transition>,
    /// The shortest run that breaks an invariant that was looked for.
    pub broken: Option<Run>,
    /// The other invariants that were broken as early.
    pub also: u32,
}

/// A run of the model.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its steps, each with the state behind it.
    pub steps: Vec<(Action, State)>,
    /// The invariants that it breaks.
    pub broken: u32,
}

/// A fingerprint is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct Given(u64);

impl Hasher for Given {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

/// The fingerprints that were met, each with the one that it was first met from.
type Met = HashMap<u64, u64, BuildHasherDefault<Given>>;

fn shard(fingerprint: u64) -> usize {
    (fingerprint >> 32) as usize % THREADS
}

/// The states that one thread found behind its part of the frontier.
#[derive(Default)]
struct Behind {
    /// For each thread, the states whose fingerprints are its own.
    states: [Vec<(State, u64, u64)>; THREADS],
    steps: u64,
    ends: u64,
    made: std::collections::BTreeSet<crate::transition::Transition>,
    /// A state that ended wrongly.
    stuck: Option<(u64, u32)>,
}

impl Model {
    /// Searches all states, or until a state is met that breaks one of `wanted`.
    #[must_use]
    pub fn search(&self, wanted: u32) -> Found {
        let start = self.start();
        let first = fingerprint(&self.scenario, &start);
        let mut met: [Met; THREADS] = Default::default();
        met[shard(first)].insert(first, first);
        let mut frontier: [Vec<(State, u64)>; THREADS] = Default::default();
        frontier[shard(first)].push((start, first));
        let mut found = Found {
            states: 1,
            steps: 0,
            depth: 0,
            ends: 0,
            made: Default::default(),
            broken: None,
            also: 0,
        };
        loop {
            let behind = self.expand(&frontier);
            let mut broken = None;
            let mut inboxes: [Vec<_>; THREADS] = Default::default();
            for part in behind {
                found.steps += part.steps;
                found.ends += part.ends;
                found.made.extend(part.made);
                broken = broken.or(part.stuck);
                for (inbox, states) in inboxes.iter_mut().zip(part.states) {
                    inbox.push(states);
                }
            }
            let parts = admit(&mut met, inboxes);
            frontier = Default::default();
            for (states, (fresh, worst)) in frontier.iter_mut().zip(parts) {
                found.states += fresh.len() as u64;
                *states = fresh;
                for (fingerprint, set) in worst {
                    found.also |= set;
                    let is_better = set & wanted != 0;
                    if is_better && broken.is_none_or(|(_, before)| before & wanted == 0) {
                        broken = Some((fingerprint, set));
                    }
                }
            }
            if let Some((_, set)) = broken {
                found.also |= set;
            }
            if let Some((fingerprint, set)) = broken.filter(|(_, set)| set & wanted != 0) {
                found.broken = Some(self.run_to(&met, fingerprint, set));
                return found;
            }
            if frontier.iter().all(Vec::is_empty) {
                return found;
            }
            found.depth += 1;
        }
    }

    fn expand(&self, frontier: &[Vec<(State, u64)>; THREADS]) -> Vec<Behind> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = frontier
                .iter()
                .map(|part| scope.spawn(|| self.expand_part(part)))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn expand_part(&self, part: &[(State, u64)]) -> Behind {
        let mut behind = Behind::default();
        for (state, from) in part {
            if state.broken != 0 {
                continue;
            }
            let mut steps = 0;
            self.explored(state, &mut |action| {
                if let Some(next) = self.step(state, action) {
                    steps += 1;
                    behind.made.insert(action.what);
                    let fingerprint = fingerprint(&self.scenario, &next);
                    behind.states[shard(fingerprint)].push((next, fingerprint, *from));
                }
            });
            behind.steps += steps;
            if steps == 0 {
                behind.ends += 1;
                let broken = self.judge_end(state);
                if broken != 0 && behind.stuck.is_none() {
                    behind.stuck = Some((*from, broken));
                }
            }
        }
        behind
    }

    /// Finds the steps to a state again.
    fn run_to(&self, met: &[Met; THREADS], last: u64, broken: u32) -> Run {
        let mut way = vec![last];
        let mut at = last;
        while let Some(from) = met[shard(at)].get(&at).copied().filter(|from| *from != at) {
            way.push(from);
            at = from;
        }
        let mut steps = Vec::new();
        let mut state = self.start();
        for wanted in way.into_iter().rev().skip(1) {
            let mut found = None;
            self.explored(&state, &mut |action| {
                let next = self.step(&state, action);
                let next = next.filter(|next| fingerprint(&self.scenario, next) == wanted);
                found = found.or(next.map(|next| (action, next)));
            });
            let Some(step) = found else { break };
            state = step.1;
            steps.push(step);
        }
        Run { steps, broken }
    }
}

type Fresh = (Vec<(State, u64)>, Vec<(u64, u32)>);

/// Keeps the states that were not met before, and returns those that break an invariant.
fn admit(met: &mut [Met; THREADS], inboxes: [Vec<Vec<(State, u64, u64)>>; THREADS]) -> Vec<Fresh> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = met
            .iter_mut()
            .zip(inboxes)
            .map(|(met, inbox)| {
                scope.spawn(move || {
                    let (mut fresh, mut broken) = (Vec::new(), Vec::new());
                    for (state, fingerprint, from) in inbox.into_iter().flatten() {
                        if let Entry::Vacant(place) = met.entry(fingerprint) {
                            place.insert(from);
                            fresh.push((state, fingerprint));
                            if state.broken != 0 {
                                broken.push((fingerprint, state.broken));
                            }
                        }
                    }
                    (fresh, broken)
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
