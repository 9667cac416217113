//! Steps that commute with all that others can do before them: each is made at once, alone.
//!
//! Without that, the search would try each of them before and after each step of every other CPU,
//! and reach the same states. No step of another CPU can read what such a step writes, or write
//! what it reads, before it was made; and none of them hides a state that breaks an invariant. A
//! run of the driver that makes them later is a run of the model all the same: a trace is replayed
//! through [`Model::step`], not through this.

use crate::model::Model;
use crate::state::{At, INITIATORS, Responder, State};
use crate::transition::{Action, Transition};

impl Model {
    /// Calls `found` with the steps that the search tries from a state.
    pub fn explored(&self, state: &State, found: &mut dyn FnMut(Action)) {
        match self.alone(state) {
            Some(action) => found(action),
            None => self.candidates(state, found),
        }
    }

    fn alone(&self, state: &State) -> Option<Action> {
        // A fault may break what is relied on here.
        if self.mutant.is_some() {
            return None;
        }
        (0..INITIATORS).find_map(|i| {
            let what = self.commuting(state, i)?;
            let is_held = self.scenario.each_other && state.targets[i].depth != 0;
            (!is_held).then_some(Action {
                what,
                who: i as u8,
                to: 0,
            })
        })
    }

    fn commuting(&self, state: &State, i: usize) -> Option<Transition> {
        let me = &state.initiators[i];
        let budget = &self.scenario.budget;
        // No CPU comes or goes.
        let fixed = budget.leaves == 0 && budget.deaths == 0;
        // No CPU is ever demoted or lazy.
        let ordinary = !self.scenario.skips_lazy
            && (budget.late == 0 && budget.refused == 0
                || self.scenario.responder == Responder::Software);
        match me.at {
            At::Begin if fixed => Some(Transition::BeginFlush),
            At::Read if fixed => Some(Transition::ReadTargets),
            At::Look if ordinary => Some(Transition::TakesEntriesOnly),
            // The slot is this initiator's: no unit reads its payload, no other looks at its bytes.
            At::Payload if state.open_bytes(me.slot_index()) == 0 => Some(Transition::StorePayload),
            At::Post => Some(Transition::Post),
            At::Return => Some(Transition::Return),
            _ => None,
        }
    }
}
