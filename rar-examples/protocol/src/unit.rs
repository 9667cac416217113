//! The steps of a RAR unit: a scan for each latched signal, in an order that no source settles.

use crate::invariant::Invariant;
use crate::model::Model;
use crate::state::{ALL_SLOTS, Byte, State, bit, has};
use crate::transition::Transition;

impl Model {
    /// Makes a step of a unit.
    pub(crate) fn unit(&self, next: &mut State, t: usize, what: Transition, slot: usize) -> bool {
        let target = &mut next.targets[t];
        let unit = &mut target.unit;
        if !unit.enabled || unit.deaf {
            return false;
        }
        let works = unit.work != 0;
        let may_visit = !works && has(unit.todo, slot);
        match what {
            Transition::Scan if unit.latched && unit.todo == 0 => {
                unit.latched = false;
                unit.todo = ALL_SLOTS;
            }
            Transition::Pass if may_visit && target.bytes[slot] != Byte::Pending => {
                unit.todo &= !bit(slot);
            }
            Transition::ReadPayload if may_visit && target.bytes[slot] == Byte::Pending => {
                unit.work = slot as u8 + 1;
                unit.read = next.payload[slot];
            }
            Transition::UnitFlush if works && !unit.flushed => {
                unit.flushed = true;
                if unit.read != 0 {
                    target.stale &= !bit(usize::from(unit.read) - 1);
                }
            }
            Transition::Answer if works && unit.flushed => {
                self.answer(next, t, Byte::Success);
            }
            Transition::Refuse if works && !unit.flushed && next.budget.refused > 0 => {
                next.budget.refused -= 1;
                self.answer(next, t, Byte::Failure);
            }
            Transition::FallSilent if next.budget.deaf > 0 => {
                next.budget.deaf -= 1;
                unit.deaf = true;
            }
            _ => return false,
        }
        true
    }

    fn answer(&self, next: &mut State, t: usize, byte: Byte) {
        let target = &mut next.targets[t];
        let slot = usize::from(target.unit.work) - 1;
        let was = std::mem::replace(&mut target.bytes[slot], byte);
        target.unit.todo &= !bit(slot);
        (target.unit.work, target.unit.read, target.unit.flushed) = (0, 0, false);
        if was != Byte::Pending {
            next.breaks(Invariant::I3);
        }
    }
}
