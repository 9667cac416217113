//! States that differ only in which initiator, target or slot is which: one of them is explored.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;

use crate::scenario::Scenario;
use crate::state::{Initiator, Kind, Mask, State, Target, Word};

/// Which pairs change places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swap {
    /// The initiators, with their flushes.
    pub initiators: bool,
    /// The targets.
    pub targets: bool,
    /// The slots.
    pub slots: bool,
}

/// Returns the fingerprint that a state shares with those that differ from it by a swap.
#[must_use]
pub fn fingerprint(scenario: &Scenario, state: &State) -> u64 {
    let hasher = FixedState::with_seed(0);
    let mut least = u64::MAX;
    for swap in swaps(scenario, state) {
        let fingerprint = match swap == Swap::default() {
            true => hasher.hash_one(state),
            false => hasher.hash_one(state.swapped(swap)),
        };
        least = least.min(fingerprint);
    }
    least
}

/// Returns the swaps that lead to the state of the orbit that counts: where a pair differs, the
/// smaller one is first; where it does not, both orders have to be tried.
fn swaps(scenario: &Scenario, state: &State) -> impl Iterator<Item = Swap> + use<> {
    let alike = scenario.flushes[0] == scenario.flushes[1] && !scenario.tables;
    let initiators = match alike {
        true => orders(state.initiators.each_ref().map(initiator_key)),
        false => [true, false],
    };
    let targets = orders(state.targets.each_ref().map(target_key));
    let slots = orders(state.slots.map(|word| (word.kind as u8, word.claims)));
    let each_other = scenario.each_other;
    (0..8_u8).filter_map(move |number| {
        let [initiator, target, slot] = [1, 2, 4].map(|bit| number & bit != 0);
        let swap = Swap {
            initiators: initiator,
            targets: target,
            slots: slot,
        };
        let of_targets = match each_other {
            true => initiator == target,
            false => targets[usize::from(target)],
        };
        let is_tried = initiators[usize::from(initiator)] && of_targets && slots[usize::from(slot)];
        is_tried.then_some(swap)
    })
}

/// Whether a pair is to be tried as it is, and swapped.
fn orders<K: Ord>([first, second]: [K; 2]) -> [bool; 2] {
    [first <= second, second <= first]
}

/// What does not depend on the numbers of the others.
fn initiator_key(one: &Initiator) -> impl Ord + use<> {
    (
        one.at as u8,
        one.flush,
        one.phase as u8,
        one.ticket,
        one.general,
    )
}

fn target_key(one: &Target) -> impl Ord + use<> {
    (
        one.life as u8,
        one.newest,
        one.completed,
        one.depth,
        one.unit.latched,
        one.unit.todo.count_ones(),
        one.unit.flushed,
        one.irq,
    )
}

impl State {
    /// Returns the state with some pairs swapped.
    #[must_use]
    pub fn swapped(&self, swap: Swap) -> Self {
        let mut state = *self;
        for initiator in &mut state.initiators {
            initiator.swap(swap);
        }
        for target in &mut state.targets {
            target.swap(swap);
        }
        for word in &mut state.slots {
            word.swap(swap);
        }
        if swap.initiators {
            state.initiators.swap(0, 1);
            state.payload = state.payload.map(of_other_initiator);
            state.changed = swap_flushes(state.changed);
            state.ok = swap_flushes(state.ok);
        }
        if swap.targets {
            state.targets.swap(0, 1);
        }
        if swap.slots {
            state.slots.swap(0, 1);
            state.payload.swap(0, 1);
        }
        state
    }
}

impl Initiator {
    fn swap(&mut self, swap: Swap) {
        self.word.swap(swap);
        if swap.slots {
            self.slot = swap_number(self.slot);
        }
        if swap.targets {
            self.gone = swap_number(self.gone);
            let sets = [
                &mut self.aim,
                &mut self.left,
                &mut self.open,
                &mut self.asked,
                &mut self.unflushed,
                &mut self.armed,
            ];
            sets.into_iter().for_each(|set| *set = swap_pair(*set));
        }
    }
}

impl Target {
    fn swap(&mut self, swap: Swap) {
        if swap.initiators {
            self.unit.read = of_other_initiator(self.unit.read);
            self.stale = swap_flushes(self.stale);
        }
        if swap.slots {
            self.bytes.swap(0, 1);
            self.unit.work = swap_number(self.unit.work);
            for frame in &mut self.frames {
                frame.work = swap_number(frame.work);
                frame.scan = swap_pair(frame.scan);
                frame.taken = swap_pair(frame.taken);
            }
            let sets = [&mut self.unit.todo, &mut self.left, &mut self.open];
            sets.into_iter().for_each(|set| *set = swap_pair(*set));
        }
    }
}

impl Word {
    fn swap(&mut self, swap: Swap) {
        if swap.initiators && self.kind != Kind::Free {
            self.owner ^= 1;
        }
    }
}

fn swap_pair(set: Mask) -> Mask {
    (set & 1) << 1 | set >> 1
}

/// A number plus one, where zero stands for nothing.
fn swap_number(number: u8) -> u8 {
    match number {
        0 => 0,
        number => 3 - number,
    }
}

fn swap_flushes(set: Mask) -> Mask {
    (set & 3) << 2 | set >> 2
}

/// The number of a flush plus one, where zero stands for nothing.
fn of_other_initiator(flush: u8) -> u8 {
    match flush {
        0 => 0,
        flush => ((flush - 1) ^ 2) + 1,
    }
}
