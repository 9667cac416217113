//! The steps of a target's life: offline and online, lazy, verified, dead.

use crate::invariant::Invariant;
use crate::model::Model;
use crate::mutant::Mutant;
use crate::state::{
    ALL_SLOTS, At, Byte, CLEARED, DEMOTED, DISTRUSTED, ENABLED, FLUSHED, FLUSHED_AGAIN, Frame,
    LAZY, Life, MISSED, Mask, Responder, State, Target, Unit, bit, flush_of, has,
};
use crate::transition::Transition;

impl Model {
    /// Makes a step that begins something in the life of a target.
    pub(crate) fn turn(&self, next: &mut State, t: usize, what: Transition) -> bool {
        let is_unit = self.scenario.responder == Responder::Microcode;
        let budget = &mut next.budget;
        let target = &mut next.targets[t];
        if target.depth != 0 && !what.cuts_in() {
            return false;
        }
        match (what, target.life) {
            (Transition::PublishOffline, Life::Online) if budget.leaves > 0 => {
                budget.leaves -= 1;
                (target.online, target.done) = (false, 0);
                target.life = match is_unit {
                    true => Life::LeaveDisable,
                    false => self.leaving(target),
                };
            }
            (Transition::BeginJoin, Life::Offline) => {
                (target.done, target.left, target.life) = (0, ALL_SLOTS, Life::JoinEnd);
                if self.is(Mutant::NotCleared) {
                    target.left = 0;
                    target.life = Life::JoinEnable;
                }
            }
            (Transition::EnterLazy, Life::Online)
                if budget.lazy > 0 && self.scenario.skips_lazy =>
            {
                budget.lazy -= 1;
                target.flags |= LAZY;
                target.life = Life::Lazy;
            }
            (Transition::LeaveLazy, Life::Lazy) => {
                let missed = target.flags & MISSED != 0;
                target.flags &= !LAZY;
                target.life = match missed {
                    true if self.is(Mutant::MissForgotten) => Life::LazyForget,
                    true => Life::LazyFlush,
                    false => Life::LazyNewest,
                };
            }
            (Transition::Distrust, Life::Online)
                if budget.verifies > 0 && is_unit && target.flags & DEMOTED != 0 =>
            {
                budget.verifies -= 1;
                target.flags |= DISTRUSTED;
                target.life = Life::VerifyDisable;
            }
            (Transition::GetNmi, Life::Online) if budget.nmis > 0 && !target.nmi => {
                budget.nmis -= 1;
                target.nmi = true;
            }
            (Transition::Hang, Life::Online) if budget.hung > 0 => {
                budget.hung -= 1;
                target.life = Life::Hung;
                (target.irq, target.nmi, target.depth) = (false, false, 0);
                (target.frames, target.unit.deaf) = ([Frame::default(); 2], true);
            }
            (Transition::Die, Life::Online) if budget.deaths > 0 => {
                budget.deaths -= 1;
                target.life = Life::Dead;
                (target.irq, target.nmi, target.depth) = (false, false, 0);
                (target.frames, target.unit) = ([Frame::default(); 2], Unit::default());
            }
            (Transition::DeclareDead, Life::Dead) => {
                (target.online, target.done) = (false, 0);
                (target.left, target.life) = (ALL_SLOTS, Life::DeadEnd);
                if self.is(Mutant::DeadLeftOpen) {
                    (target.left, target.life) = (0, Life::DeadPromote);
                }
            }
            (Transition::Unregister, Life::DeadUnregister) => {
                (target.registered, target.life) = (false, Life::DeadForget);
            }
            (Transition::ForgetCpu, Life::DeadForget) => {
                (target.known, target.life) = (false, Life::DeadEndLife);
                if target.done & CLEARED == 0 {
                    next.breaks(Invariant::I16);
                }
            }
            (Transition::EndLife, Life::DeadEndLife) => {
                (target.responder, target.life) = (Responder::None, Life::Unregistered);
            }
            (Transition::Register, Life::Unregistered) => {
                (target.known, target.registered, target.life) = (true, true, Life::Offline);
            }
            _ => return false,
        }
        true
    }

    fn leaving(&self, target: &mut Target) -> Life {
        (target.left, target.open) = (ALL_SLOTS, 0);
        match self.is(Mutant::LeavesWithoutFlush) {
            true => Life::LeaveRetire,
            false => Life::LeaveTake,
        }
    }

    /// Makes a step on the way down, on the way up, or in `verify`.
    pub(crate) fn live(&self, next: &mut State, t: usize, what: Transition, to: usize) -> bool {
        if next.targets[t].depth != 0 {
            return false;
        }
        match what {
            Transition::TakeOpen | Transition::FindOpen | Transition::EndEntry => {
                self.end_open(next, t, what, to)
            }
            Transition::ReadNewest | Transition::Complete => next.targets[t].generation(what),
            Transition::FlushAll
            | Transition::FlushBefore
            | Transition::FlushAfter
            | Transition::FlushMissed => self.flush_all(next, t, what),
            Transition::Promote | Transition::CountPromotion => promotion(next, t, what),
            _ => self.change(next, t, what),
        }
    }

    fn end_open(&self, next: &mut State, t: usize, what: Transition, slot: usize) -> bool {
        let target = &mut next.targets[t];
        match (what, target.life) {
            (Transition::TakeOpen, Life::LeaveTake | Life::VerifyTake)
                if has(target.left, slot) =>
            {
                let byte = &mut target.bytes[slot];
                let is_unit = target.responder == Responder::Microcode;
                if *byte == Byte::Pending {
                    *byte = Byte::Taken;
                    target.open |= bit(slot);
                } else if is_unit && !byte.is_final() {
                    target.open |= bit(slot);
                }
                target.taken(slot);
            }
            // The byte was final when the CPU tried to take it, and is looked at once more.
            (Transition::FindOpen, Life::LeaveTake | Life::VerifyTake)
                if has(target.left, slot)
                    && target.responder == Responder::Microcode
                    && target.bytes[slot] == Byte::Pending =>
            {
                target.open |= bit(slot);
                target.taken(slot);
            }
            (Transition::EndEntry, Life::LeaveEnd | Life::VerifyEnd) if has(target.open, slot) => {
                target.open &= !bit(slot);
                let enabled = target.end_entry(slot);
                if target.open == 0 {
                    target.life = target.life.after_end();
                }
                if enabled {
                    next.breaks(Invariant::I3);
                }
            }
            (Transition::EndEntry, Life::JoinEnd | Life::DeadEnd) if has(target.left, slot) => {
                target.left &= !bit(slot);
                let enabled = target.end_entry(slot);
                if target.left == 0 {
                    target.done |= CLEARED;
                    target.life = match target.life {
                        Life::DeadEnd => Life::DeadPromote,
                        _ if self.scenario.responder == Responder::Microcode => Life::JoinEnable,
                        _ => Life::JoinFlush,
                    };
                }
                if enabled {
                    next.breaks(Invariant::I3);
                }
            }
            _ => return false,
        }
        true
    }

    fn flush_all(&self, next: &mut State, t: usize, what: Transition) -> bool {
        let changed = next.changed;
        let target = &mut next.targets[t];
        target.life = match (what, target.life) {
            (Transition::FlushAll, Life::LeaveFlush) => Life::LeaveNewest,
            (Transition::FlushAll, Life::LeaveFlushNewest) => Life::LeavePublish,
            (Transition::FlushAll, Life::VerifyFlush) => Life::VerifyNewest,
            (Transition::FlushAll, Life::VerifyFlushNewest) => Life::VerifyPublish,
            (Transition::FlushAll, Life::LazyFlushNewest) => Life::LazyPublish,
            (Transition::FlushMissed, Life::LazyFlush) => Life::LazyForget,
            (Transition::FlushBefore, Life::JoinFlush) => Life::JoinClearModes,
            (Transition::FlushAfter, Life::JoinFlushAgain) => Life::JoinDone,
            _ => return false,
        };
        target.stale &= !changed;
        target.done |= match what {
            Transition::FlushAfter => FLUSHED_AGAIN,
            _ => FLUSHED,
        };
        true
    }

    fn change(&self, next: &mut State, t: usize, what: Transition) -> bool {
        let (seen, changed) = (seen_without(next, t), next.changed);
        let target = &mut next.targets[t];
        match (what, target.life) {
            (Transition::DisableUnit, Life::LeaveDisable | Life::VerifyDisable) => {
                target.unit = Unit {
                    deaf: target.unit.deaf,
                    ..Unit::default()
                };
                let life = self.leaving(target);
                target.life = match target.life {
                    Life::LeaveDisable => life,
                    _ => Life::VerifyTake,
                };
            }
            (Transition::Retire, Life::LeaveRetire) => {
                (target.responder, target.life) = (Responder::None, Life::Offline);
                if target.done & FLUSHED == 0 {
                    next.breaks(Invariant::I12);
                }
            }
            (Transition::EnableUnit, Life::JoinEnable | Life::VerifyEnable) => {
                target.unit = Unit {
                    enabled: self.scenario.responder == Responder::Microcode,
                    ..Unit::default()
                };
                target.done |= ENABLED;
                target.life = match target.life {
                    Life::JoinEnable => Life::JoinFlush,
                    _ => Life::VerifyPromote,
                };
            }
            (Transition::ClearModes, Life::JoinClearModes | Life::DeadClearModes) => {
                target.flags &= !(LAZY | MISSED);
                target.life = match target.life {
                    Life::JoinClearModes => Life::JoinPromote,
                    _ => Life::DeadUnregister,
                };
            }
            (Transition::SetResponder, Life::JoinResponder) => {
                (target.responder, target.life) = (self.scenario.responder, Life::JoinPublish);
            }
            (Transition::PublishOnline, Life::JoinPublish) => {
                (target.online, target.life) = (true, Life::JoinCount);
                let is_unit = self.scenario.responder == Responder::Microcode;
                let needed = CLEARED | FLUSHED | if is_unit { ENABLED } else { 0 };
                if target.done & needed != needed {
                    next.breaks(Invariant::I12);
                }
            }
            (Transition::CountJoin, Life::JoinCount) => {
                next.joins += 1;
                target.join = next.joins;
                target.life = match self.is(Mutant::NoSecondFlush) {
                    true => Life::JoinDone,
                    false => Life::JoinFlushAgain,
                };
            }
            (Transition::StoreJoined, Life::JoinDone) => {
                (target.joined, target.join, target.life) = (target.join, 0, Life::Online);
                let flushed = target.done & FLUSHED_AGAIN != 0;
                let stale = target.stale & changed & seen != 0;
                if !flushed {
                    next.breaks(Invariant::I12);
                }
                if stale {
                    next.breaks(Invariant::I10);
                }
            }
            (Transition::ForgetMissed, Life::LazyForget) => {
                target.flags &= !MISSED;
                target.life = Life::LazyNewest;
            }
            _ => return false,
        }
        true
    }
}

/// Returns the flushes that have read their targets without this one.
fn seen_without(state: &State, t: usize) -> Mask {
    let mut seen = state.ok;
    for (i, initiator) in state.initiators.iter().enumerate() {
        let is_aimed = !matches!(initiator.at, At::Store | At::Begin | At::Read | At::Done);
        if is_aimed && !has(initiator.aim, t) {
            seen |= bit(flush_of(i, initiator.flush));
        }
    }
    seen
}

fn promotion(next: &mut State, t: usize, what: Transition) -> bool {
    let target = &mut next.targets[t];
    let (counted, done) = match target.life {
        Life::LeavePromote | Life::LeaveCountPromotion => {
            (Life::LeaveCountPromotion, Life::LeaveRetire)
        }
        Life::JoinPromote | Life::JoinCountPromotion => {
            (Life::JoinCountPromotion, Life::JoinResponder)
        }
        Life::VerifyPromote | Life::VerifyCountPromotion => {
            (Life::VerifyCountPromotion, Life::Online)
        }
        Life::DeadPromote | Life::DeadCountPromotion => {
            (Life::DeadCountPromotion, Life::DeadClearModes)
        }
        _ => return false,
    };
    let counts = target.life == counted;
    match what {
        Transition::Promote if !counts => {
            target.life = if target.promote() { counted } else { done };
        }
        Transition::CountPromotion if counts => {
            target.life = done;
            next.exceptions = next.exceptions.wrapping_sub(1);
        }
        _ => return false,
    }
    true
}

impl Life {
    /// The step behind the last entry that was ended.
    pub(crate) fn after_end(self) -> Self {
        match self {
            Self::LeaveEnd => Self::LeavePromote,
            _ => Self::VerifyEnable,
        }
    }
}

impl Target {
    /// Goes on behind a look at an entry on the way down or in `verify`.
    fn taken(&mut self, slot: usize) {
        self.left &= !bit(slot);
        if self.left == 0 {
            self.life = match self.life {
                Life::LeaveTake => Life::LeaveFlush,
                _ => Life::VerifyFlush,
            };
        }
    }

    /// Ends an entry if it is open; returns whether a unit answers here.
    fn end_entry(&mut self, slot: usize) -> bool {
        let byte = &mut self.bytes[slot];
        let open = !byte.is_final();
        if open {
            *byte = Byte::Success;
        }
        open && self.unit.enabled
    }

    /// Reads the newest request, or publishes it, on the way down, in `verify` and in `leave_lazy`.
    fn generation(&mut self, what: Transition) -> bool {
        let (flush, end) = match self.life {
            Life::LeaveNewest | Life::LeavePublish => (Life::LeaveFlushNewest, Life::LeaveEnd),
            Life::VerifyNewest | Life::VerifyPublish => (Life::VerifyFlushNewest, Life::VerifyEnd),
            Life::LazyNewest | Life::LazyPublish => (Life::LazyFlushNewest, Life::Online),
            _ => return false,
        };
        let reads = matches!(
            self.life,
            Life::LeaveNewest | Life::VerifyNewest | Life::LazyNewest
        );
        match what {
            Transition::ReadNewest if reads && self.newest > self.completed => {
                (self.read, self.life) = (self.newest, flush);
                return true;
            }
            Transition::ReadNewest if reads => {}
            Transition::Complete if !reads => {
                self.completed = self.completed.max(self.read);
                self.read = 0;
            }
            _ => return false,
        }
        self.life = match (end, self.open) {
            (Life::LeaveEnd | Life::VerifyEnd, 0) => end.after_end(),
            _ => end,
        };
        true
    }
}
