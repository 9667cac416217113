//! The steps that get a slot: free, or serving no flush any more.

use crate::invariant::Invariant;
use crate::model::Model;
use crate::mutant::Mutant;
use crate::state::{At, Byte, Kind, State, Word, bit, has};
use crate::transition::Transition;

impl Model {
    /// Makes a step that sorts a target, or gets a slot.
    pub(crate) fn get_slot(&self, next: &mut State, i: usize, what: Transition, to: usize) -> bool {
        let me = next.initiators[i];
        match (what, me.at) {
            (Transition::SortTarget, At::Sort) if has(me.left, to) => self.sort(next, i, to),
            (Transition::ClaimSlot, At::Claim | At::Wait) => {
                if next.slots[to].kind != Kind::Free || to >= self.scenario.slots {
                    return false;
                }
                self.own(next, i, to);
                next.initiators[i].left = 0;
                self.after_claim(&mut next.initiators[i]);
            }
            (Transition::NoFreeSlot, At::Claim) => {
                if self.usable(next).all(|slot| slot.kind == Kind::Free) {
                    return false;
                }
                let me = &mut next.initiators[i];
                if me.general {
                    me.at = At::Wait;
                } else {
                    (me.general, me.at) = (true, At::Look);
                    (me.open, me.unflushed) = (0, 0);
                }
            }
            (Transition::LookAtSlot, At::Wait) => {
                if !self.can_take_over(next, to) {
                    return false;
                }
                let left = next.targets_that(|target| target.registered);
                let word = next.slots[to];
                let me = &mut next.initiators[i];
                (me.slot, me.word, me.left, me.at) = (to as u8 + 1, word, left, At::TakeOver);
            }
            (Transition::ReadByte, At::TakeOver) if has(me.left, to) => {
                let byte = next.targets[to].bytes[me.slot_index()];
                let me = &mut next.initiators[i];
                if self.frees(me.word.kind, byte) {
                    me.left &= !bit(to);
                } else {
                    (me.at, me.slot, me.left) = (At::Wait, 0, 0);
                    me.word = Word::default();
                }
            }
            (Transition::TakeOver, At::TakeOver) if me.left == 0 => self.take_over(next, i),
            (Transition::NoSlot, At::Wait) => {
                let quarantined = |slot: &Word| slot.kind == Kind::Quarantined;
                let mine = |slot: &Word| {
                    usize::from(slot.owner) == i
                        && matches!(slot.kind, Kind::Claimed | Kind::Posted)
                };
                let at_once = self.usable(next).all(quarantined) || next.slots.iter().any(mine);
                if !at_once && !next.is_late(i) {
                    return false;
                }
                let me = &mut next.initiators[i];
                me.asked |= me.open;
                (me.open, me.unflushed, me.at) = (0, me.asked, At::Ticket);
            }
            _ => return false,
        }
        true
    }

    fn usable<'s>(&self, state: &'s State) -> impl Iterator<Item = &'s Word> + use<'s> {
        state.slots.iter().take(self.scenario.slots)
    }

    fn own(&self, next: &mut State, i: usize, slot: usize) {
        let word = &mut next.slots[slot];
        word.kind = Kind::Claimed;
        word.owner = i as u8;
        if !self.is(Mutant::ClaimsNotCounted) {
            word.claims += 1;
        }
        next.initiators[i].slot = slot as u8 + 1;
        next.initiators[i].word = *word;
    }

    /// Whether a byte lets a slot of this kind be taken over.
    pub(crate) fn frees(&self, kind: Kind, byte: Byte) -> bool {
        match kind {
            Kind::Posted => byte == Byte::Success,
            Kind::Quarantined => byte.is_final() || self.is(Mutant::LaterAnswerFrees),
            Kind::Free | Kind::Claimed => false,
        }
    }

    /// Whether a look at the slot would let it be taken over at this moment.
    pub(crate) fn can_take_over(&self, state: &State, slot: usize) -> bool {
        let kind = state.slots[slot].kind;
        matches!(kind, Kind::Posted | Kind::Quarantined)
            && state
                .targets
                .iter()
                .all(|target| !target.registered || self.frees(kind, target.bytes[slot]))
    }

    fn take_over(&self, next: &mut State, i: usize) {
        let me = next.initiators[i];
        let slot = me.slot_index();
        if next.slots[slot] != me.word {
            (next.initiators[i].at, next.initiators[i].slot) = (At::Wait, 0);
            next.initiators[i].word = Word::default();
            return;
        }
        if next.open_bytes(slot) != 0 {
            next.breaks(match me.word.kind {
                Kind::Quarantined => Invariant::I6,
                _ => Invariant::I2,
            });
        }
        self.own(next, i, slot);
        let refused = next.refusals(slot);
        let me = &mut next.initiators[i];
        me.left = refused;
        if refused == 0 {
            self.after_claim(me);
        } else {
            me.at = At::Forget;
        }
    }
}
