//! Whether what was seen of a run is a run of the model.

use std::collections::HashSet;

use crate::model::Model;
use crate::state::{Byte, DEMOTED, Kind, Outcome, Responder, SLOTS, State, TARGETS};
use crate::transition::{Action, Actor, Transition};

/// What an outsider sees of the shared memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// What each slot is; that it was claimed and that it is posted look alike.
    pub slots: [Shown; SLOTS],
    /// The flush that each payload is of, plus one.
    pub payload: [u8; SLOTS],
    /// The action vectors.
    pub bytes: [[Byte; SLOTS]; TARGETS],
    /// Whether a full flush is requested and not completed.
    pub asked: [bool; TARGETS],
    /// Who is demoted.
    pub demoted: [bool; TARGETS],
    /// Who is in the online set.
    pub online: [bool; TARGETS],
    /// Who answers.
    pub responders: [Responder; TARGETS],
}

/// What an outsider sees of a slot's owner state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// Free.
    #[default]
    Free,
    /// Claimed or posted.
    InFlight,
    /// In quarantine.
    Quarantined,
}

impl Visible {
    /// Returns what is visible of a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let targets = &state.targets;
        Self {
            slots: state.slots.map(|word| match word.kind {
                Kind::Free => Shown::Free,
                Kind::Claimed | Kind::Posted => Shown::InFlight,
                Kind::Quarantined => Shown::Quarantined,
            }),
            payload: state.payload,
            bytes: targets.map(|target| target.bytes),
            asked: targets.map(|target| target.newest > target.completed),
            demoted: targets.map(|target| target.flags & DEMOTED != 0),
            online: targets.map(|target| target.online),
            responders: targets.map(|target| target.responder),
        }
    }
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// An initiator.
    Initiator(u8),
    /// A target or its unit.
    Target(u8),
}

/// Something that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The shared memory looks like this now.
    Memory(Visible),
    /// The page table is changed.
    PageTable,
    /// Translations are dropped.
    Flush,
    /// A flush has returned, with `Ok` or not.
    Returned {
        /// Whether with `Ok`.
        flushed: bool,
    },
}

/// One event of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who did it.
    pub who: Who,
    /// What was seen.
    pub seen: Seen,
}

/// An event that no run of the model has here.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The number of the event.
    pub number: usize,
    /// The event.
    pub event: Event,
    /// What was visible before.
    pub before: Visible,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            number,
            event,
            before,
        } = self;
        write!(
            f,
            "event {number}: the model cannot do this (got {event:?}, expected a step that is \
             enabled after {before:?})"
        )
    }
}

/// Returns what is seen of a step, if it is seen although memory does not change.
#[must_use]
pub fn label(action: Action, before: &State) -> Option<Seen> {
    use Transition as T;
    Some(match action.what {
        T::ChangePageTable => Seen::PageTable,
        T::Return => {
            let outcome = before.initiators[usize::from(action.who)].outcome;
            Seen::Returned {
                flushed: outcome == Outcome::Flushed,
            }
        }
        T::UnitFlush
        | T::FlushEntry
        | T::FlushAll
        | T::FlushBefore
        | T::FlushAfter
        | T::FlushMissed => Seen::Flush,
        _ => return None,
    })
}

/// Returns whose step it is.
#[must_use]
pub fn doer(action: Action) -> Who {
    match action.what.actor() {
        Actor::Initiator => Who::Initiator(action.who),
        Actor::Unit | Actor::Target => Who::Target(action.who),
    }
}

/// Returns the most states that the model could be in at once.
///
/// Before each event it tries the unseen steps of the CPU that does it, the signals on their way to
/// it, and what others may have read of it before; then the steps of all.
///
/// # Errors
///
/// [`Divergence`] if no run of the model that was tried shows these events.
pub fn replay(model: &Model, events: &[Event]) -> Result<usize, Divergence> {
    let mut states = HashSet::from([model.start()]);
    let mut visible = Visible::of(&model.start());
    let mut most = 1;
    for (number, event) in events.iter().enumerate() {
        let after = match event.seen {
            Seen::Memory(after) => after,
            _ => visible,
        };
        // What initiators read of a CPU that comes or goes, they may have read before.
        let changes = after.online != visible.online
            || after.responders != visible.responders
            || after.demoted != visible.demoted;
        // A CPU that scans its vector may have passed a byte before it was armed.
        let arms = matches!(event.who, Who::Initiator(_)) && after.bytes != visible.bytes;
        let of_the_doer = |action: Action| {
            let reads = changes && action.what.actor() == Actor::Initiator;
            let scans = arms && action.what.actor() != Actor::Initiator;
            doer(action) == event.who || sends(action) || reads || scans
        };
        let reached = unseen(model, &states, &visible, &of_the_doer);
        most = most.max(reached.len());
        let mut next = behind(model, &reached, event, &after);
        if next.is_empty() {
            let reached = unseen(model, &states, &visible, &|_| true);
            most = most.max(reached.len());
            next = behind(model, &reached, event, &after);
        }
        if next.is_empty() {
            return Err(Divergence {
                number,
                event: *event,
                before: visible,
            });
        }
        (states, visible) = (next, after);
    }
    Ok(most)
}

/// A message on its way.
fn sends(action: Action) -> bool {
    matches!(
        action.what,
        Transition::Post | Transition::Signal | Transition::Interrupt | Transition::SendNmi
    )
}

/// Returns the states behind the steps that show the event.
fn behind(
    model: &Model,
    reached: &HashSet<State>,
    event: &Event,
    after: &Visible,
) -> HashSet<State> {
    let mut next = HashSet::new();
    for state in reached {
        model.candidates(state, &mut |action| {
            let is_same = match label(action, state) {
                Some(label) => label == event.seen,
                None => matches!(event.seen, Seen::Memory(_)),
            };
            if doer(action) != event.who || !is_same {
                return;
            }
            let step = model.step(state, action);
            next.extend(step.filter(|step| Visible::of(step) == *after));
        });
    }
    next
}

/// Returns the states that unseen steps reach.
fn unseen(
    model: &Model,
    from: &HashSet<State>,
    visible: &Visible,
    may: &dyn Fn(Action) -> bool,
) -> HashSet<State> {
    let mut reached = from.clone();
    let mut left: Vec<_> = reached.iter().copied().collect();
    while let Some(state) = left.pop() {
        if reached.len() > MOST {
            break;
        }
        model.candidates(&state, &mut |action| {
            if label(action, &state).is_some() || !may(action) {
                return;
            }
            let step = model.step(&state, action);
            if let Some(step) = step.filter(|step| Visible::of(step) == *visible)
                && reached.insert(step)
            {
                left.push(step);
            }
        });
    }
    reached
}

/// At most about this many states are followed at once.
const MOST: usize = 100_000;
