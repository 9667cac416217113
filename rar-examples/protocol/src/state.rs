//! A state of the model: what the driver shares, what the hardware holds, where each CPU stands.

mod basics;
mod initiator;
mod target;

pub use basics::{
    ALL_SLOTS, ALL_TARGETS, Byte, FLUSHES_EACH, INITIATORS, Kind, Mask, Responder, SLOTS, TARGETS,
    Word, bit, first, has,
};
pub use initiator::{At, Initiator, Outcome, Phase};
pub use target::{
    CLEARED, DEMOTED, DISTRUSTED, ENABLED, FLUSHED, FLUSHED_AGAIN, Frame, LAZY, Life, MISSED,
    Stage, Target, Unit,
};

/// What may still happen to the machine and to the flushes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Flushes that wait until a deadline.
    pub late: u8,
    /// NMIs that something else sends, and whose handler serves, too.
    pub nmis: u8,
    /// Targets that hang forever, with their units.
    pub hung: u8,
    /// Signals that are lost.
    pub lost: u8,
    /// Entries that a unit refuses.
    pub refused: u8,
    /// Units that fall silent.
    pub deaf: u8,
    /// Flushes that are dropped before their end.
    pub dropped: u8,
    /// Flushes that are forgotten.
    pub forgotten: u8,
    /// Targets that go offline, and come back.
    pub leaves: u8,
    /// Targets that enter lazy TLB mode, and leave it.
    pub lazy: u8,
    /// Targets that verify their unit.
    pub verifies: u8,
    /// Targets that die, are declared dead, and come back.
    pub deaths: u8,
}

/// A state of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Who owns which slot.
    pub slots: [Word; SLOTS],
    /// The flush that each payload is of, plus one.
    pub payload: [u8; SLOTS],
    /// The newest ticket of the domain.
    pub tickets: u8,
    /// How many joins there were.
    pub joins: u8,
    /// How many CPUs are demoted, as `Domain` counts it.
    pub exceptions: u8,
    /// The CPUs that are flushed.
    pub targets: [Target; TARGETS],
    /// The CPUs that flush.
    pub initiators: [Initiator; INITIATORS],
    /// What may still happen.
    pub budget: Budget,
    /// Judged: the flushes whose page table is changed.
    pub changed: Mask,
    /// Judged: the flushes that returned `Ok`.
    pub ok: Mask,
    /// The invariants that the last step broke.
    pub broken: u32,
}

/// Returns the number of an initiator's flush.
#[must_use]
pub fn flush_of(initiator: usize, flush: u8) -> usize {
    initiator * FLUSHES_EACH + usize::from(flush)
}

impl State {
    /// Lets a deadline of an initiator pass, if one may.
    pub(crate) fn is_late(&mut self, i: usize) -> bool {
        let is_late = self.initiators[i].late;
        if !is_late && self.budget.late == 0 {
            return false;
        }
        if !is_late {
            self.budget.late -= 1;
            self.initiators[i].late = true;
        }
        true
    }

    /// Returns the targets with a property.
    pub(crate) fn targets_that(&self, is: impl Fn(&Target) -> bool) -> Mask {
        let with = (0..TARGETS).filter(|t| is(&self.targets[*t]));
        with.fold(0, |set, t| set | bit(t))
    }

    /// Returns the targets whose byte of a slot is open where something may still read it.
    pub(crate) fn open_bytes(&self, slot: usize) -> Mask {
        self.targets_that(|target| {
            let may_read = target.unit.enabled || target.responder == Responder::Software;
            may_read && !target.bytes[slot].is_final()
        })
    }

    /// Returns the registered targets that refused an entry of a slot.
    pub(crate) fn refusals(&self, slot: usize) -> Mask {
        self.targets_that(|target| target.registered && target.bytes[slot] == Byte::Failure)
    }

    /// Returns the shared memory in one line: slots, payloads, bytes, requests.
    #[must_use]
    pub fn summary(&self) -> String {
        let slots = self.slots.iter().zip(self.payload).map(|(word, payload)| {
            let kind = match word.kind {
                Kind::Free => "free".to_owned(),
                kind => format!("{kind:?} by {}", word.owner).to_lowercase(),
            };
            match payload.checked_sub(1) {
                Some(flush) => format!("{kind} (flush {flush})"),
                None => kind,
            }
        });
        let targets = self.targets.iter().map(|target| {
            let bytes = target.bytes.map(|byte| match byte {
                Byte::Success => 'S',
                Byte::Pending => 'P',
                Byte::Taken => 'T',
                Byte::Failure => 'F',
            });
            let bytes: String = bytes.into_iter().collect();
            format!(
                "{bytes} {}/{} {:?}",
                target.completed, target.newest, target.life
            )
        });
        let slots: Vec<_> = slots.collect();
        let targets: Vec<_> = targets.collect();
        format!("slots {}; targets {}", slots.join(", "), targets.join(", "))
    }
}
