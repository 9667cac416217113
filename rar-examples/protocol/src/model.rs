//! The step relation, and what is judged in each state.

use crate::invariant::Invariant;
use crate::mutant::Mutant;
use crate::potential::potential;
use crate::scenario::Scenario;
use crate::state::{At, INITIATORS, Kind, Life, Mask, State, bit, flush_of};
use crate::transition::{Action, Actor, Transition};

/// The protocol in one scenario, as the driver has it or with one fault.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// The machine, and what may happen to it.
    pub scenario: Scenario,
    /// The fault.
    pub mutant: Option<Mutant>,
}

impl Model {
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Returns the state before the first step.
    #[must_use]
    pub fn start(&self) -> State {
        let mut state = self.scenario.start();
        for initiator in &mut state.initiators {
            if initiator.at == At::Store {
                initiator.at = self.first_step();
            }
        }
        state
    }

    /// Makes a step, and notes which invariants it breaks; `None` if it is not enabled.
    #[must_use]
    pub fn step(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        let (who, to) = (usize::from(action.who), usize::from(action.to));
        let what = action.what;
        let made = match what.actor() {
            Actor::Initiator => self.initiate(&mut next, who, what, to),
            Actor::Unit => self.unit(&mut next, who, what, to),
            Actor::Target => {
                self.enter(&mut next, who, what)
                    || self.serve(&mut next, who, what, to)
                    || self.turn(&mut next, who, what)
                    || self.live(&mut next, who, what, to)
            }
        };
        if !made {
            return None;
        }
        if potential(self, &next) >= potential(self, state) {
            next.breaks(Invariant::I7);
        }
        self.judge(&mut next);
        Some(next)
    }

    fn initiate(&self, next: &mut State, i: usize, what: Transition, to: usize) -> bool {
        // One CPU: its handler runs, or its flush.
        if self.scenario.each_other && next.targets[i].depth != 0 {
            return false;
        }
        self.begin(next, i, what)
            || self.get_slot(next, i, what, to)
            || self.send(next, i, what, to)
            || self.ask(next, i, what, to)
            || self.see(next, i, what, to)
            || self.escalate(next, i, what)
            || self.end(next, i, what, to)
    }

    /// Notes the invariants that a state breaks by itself.
    fn judge(&self, next: &mut State) {
        let mut tables: Mask = 0;
        for i in 0..INITIATORS {
            for flush in 0..self.scenario.flushes[i] {
                if self.scenario.is_of_tables(i) {
                    tables |= bit(flush_of(i, flush));
                }
            }
        }
        let broken = next.targets.iter().any(|target| {
            let stale = target.stale & next.ok;
            let used = match target.life {
                Life::Online => stale,
                Life::Lazy => stale & tables,
                _ if target.verifies() => stale,
                _ => 0,
            };
            used != 0
        });
        if broken {
            next.breaks(Invariant::I1);
        }
    }

    /// Returns the invariants that a state breaks that has no next step.
    #[must_use]
    pub fn judge_end(&self, state: &State) -> u32 {
        let ended = state.initiators.iter().all(|one| one.at == At::Done);
        let owned = state.slots.iter().any(|slot| slot.kind == Kind::Claimed);
        if ended && !owned {
            0
        } else {
            Invariant::I7.bit()
        }
    }
}

impl State {
    /// Notes that the step breaks an invariant.
    pub(crate) fn breaks(&mut self, invariant: Invariant) {
        self.broken |= invariant.bit();
    }
}
