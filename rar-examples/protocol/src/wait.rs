//! The steps of `Pending`: answers, deadlines, and the end of a flush.

use crate::invariant::Invariant;
use crate::model::Model;
use crate::mutant::Mutant;
use crate::state::{
    At, Byte, DEMOTED, Initiator, Kind, Mask, Outcome, Phase, Responder, State, bit, first,
    flush_of, has,
};
use crate::transition::Transition;

impl Model {
    /// Makes a step that asks for full flushes.
    pub(crate) fn ask(&self, next: &mut State, i: usize, what: Transition, to: usize) -> bool {
        let me = next.initiators[i];
        let is_next = has(me.left, to);
        match (what, me.at) {
            (Transition::DrawTicket, At::Ticket) => {
                next.tickets += 1;
                let me = &mut next.initiators[i];
                (me.ticket, me.left, me.at) = (next.tickets, me.asked, At::Request);
                me.phase = if me.posted { me.phase } else { Phase::Asked };
            }
            (Transition::Request, At::Request) if is_next => {
                let target = &mut next.targets[to];
                if target.known {
                    target.newest = target.newest.max(me.ticket);
                }
                let me = &mut next.initiators[i];
                me.left &= !bit(to);
                if me.left == 0 {
                    (me.left, me.at) = (me.asked, At::Interrupt);
                }
            }
            (Transition::Interrupt, At::Interrupt) if is_next => {
                next.targets[to].irq |= !next.targets[to].is_dead();
                self.sent(&mut next.initiators[i], to);
            }
            (Transition::SendNmi, At::Nmi) if is_next => {
                let target = &mut next.targets[to];
                let alive = !target.is_dead();
                if self.scenario.nmi {
                    target.nmi |= alive;
                } else {
                    target.irq |= alive;
                }
                self.sent(&mut next.initiators[i], to);
            }
            (Transition::FlushSelf, At::FlushSelf) => {
                next.targets[i].stale &= !bit(flush_of(i, me.flush));
                let me = &mut next.initiators[i];
                me.flushed_self = true;
                me.at = if me.aim == 0 { At::Return } else { At::Await };
            }
            _ => return false,
        }
        true
    }

    fn sent(&self, me: &mut Initiator, to: usize) {
        me.left &= !bit(to);
        if me.left == 0 {
            me.at = if self.scenario.each_other && !me.flushed_self {
                At::FlushSelf
            } else {
                At::Await
            };
        }
    }

    /// Makes a step that sees how far a target has come.
    pub(crate) fn see(&self, next: &mut State, i: usize, what: Transition, to: usize) -> bool {
        let me = next.initiators[i];
        let slot = me.slot_index();
        let target = next.targets[to];
        let flush = bit(flush_of(i, me.flush));
        if me.at != At::Await {
            return false;
        }
        let waits = has(me.unflushed, to);
        match what {
            Transition::SeeSuccess => {
                if !me.posted || !has(me.open, to) || !self.counts_as_done(&target, slot) {
                    return false;
                }
                if target.known && target.bytes[slot] != Byte::Success {
                    next.breaks(Invariant::I5);
                }
                let me = &mut next.initiators[i];
                me.open &= !bit(to);
                me.unflushed &= !bit(to);
                if self.is(Mutant::EndsAtFirstAnswer) {
                    me.unflushed = 0;
                }
            }
            Transition::SeeTakenOver => {
                if !me.posted || me.open == 0 || next.slots[slot] == me.word {
                    return false;
                }
                let me = &mut next.initiators[i];
                me.unflushed &= !me.open;
                me.open = 0;
            }
            Transition::SeeUnknown if waits && !target.known => {
                next.initiators[i].unflushed &= !bit(to);
            }
            Transition::SeeOffline if waits && !target.online && me.gone == 0 => {
                next.initiators[i].gone = to as u8 + 1;
                return true;
            }
            Transition::SeeNoResponder if waits && usize::from(me.gone) == to + 1 => {
                if target.responder != Responder::None && !self.is(Mutant::OfflineCountsEarly) {
                    return false;
                }
                // One that died, or never was up, flushes on its way up.
                if target.leaves() && target.stale & flush != 0 {
                    next.breaks(Invariant::I12);
                }
                next.initiators[i].unflushed &= !bit(to);
            }
            Transition::SeeJoined if waits && target.known && target.joined > me.since => {
                if target.stale & flush != 0 {
                    next.breaks(Invariant::I12);
                }
                next.initiators[i].unflushed &= !bit(to);
            }
            Transition::SeeFlushed if waits && me.ticket != 0 => {
                if target.known && target.completed < me.ticket {
                    return false;
                }
                next.initiators[i].unflushed &= !bit(to);
                if self.is_silent(next, &me, to) {
                    let me = &mut next.initiators[i];
                    (me.at, me.left, me.gone) = (At::Demote, bit(to), 0);
                    return true;
                }
            }
            _ => return false,
        }
        self.go_on(&mut next.initiators[i]);
        true
    }

    fn counts_as_done(&self, target: &crate::state::Target, slot: usize) -> bool {
        let byte = target.bytes[slot];
        !target.known
            || byte == Byte::Success
            || byte == Byte::Taken && self.is(Mutant::TakenIsFinal)
            || byte == Byte::Failure && self.is(Mutant::FailureIsSuccess)
    }

    /// The flush goes on, or has ended.
    fn go_on(&self, me: &mut Initiator) {
        me.gone = 0;
        me.at = At::Await;
        if me.unflushed == 0 {
            self.settle(me, Outcome::Flushed);
        }
    }

    fn settle(&self, me: &mut Initiator, outcome: Outcome) {
        me.outcome = outcome;
        me.gone = 0;
        me.at = match (me.posted, me.open) {
            (false, _) => At::Return,
            (true, 0) => At::GiveBack,
            (true, _) => At::Settle,
        };
    }

    /// The target has served the request, and its entry is open: its unit is silent.
    fn is_silent(&self, state: &State, me: &Initiator, t: usize) -> bool {
        let target = &state.targets[t];
        let slot = me.slot_index();
        me.phase >= Phase::Asked
            && has(me.open, t)
            && target.known
            && !target.bytes[slot].is_final()
            && state.slots[slot] == me.word
            && target.responder == Responder::Microcode
            && target.joined <= me.since
    }

    /// Makes a step that demotes, or that a deadline or the kernel causes.
    pub(crate) fn escalate(&self, next: &mut State, i: usize, what: Transition) -> bool {
        let me = next.initiators[i];
        match (what, me.at) {
            (Transition::Demote, At::Demote) => {
                let target = &mut next.targets[first(me.left)];
                let may = target.responder == Responder::Microcode && target.known;
                let news = may && target.flags & DEMOTED == 0;
                if may {
                    target.flags |= DEMOTED;
                }
                let me = &mut next.initiators[i];
                me.left = 0;
                if news {
                    me.at = At::CountDemotion;
                } else {
                    self.go_on(me);
                }
            }
            (Transition::CountDemotion, At::CountDemotion) => {
                next.exceptions = next.exceptions.wrapping_add(1);
                self.go_on(&mut next.initiators[i]);
            }
            (Transition::SignalAgain, At::Await)
                if self.scenario.signals_again && me.phase == Phase::Signalled =>
            {
                let silent = me.open & me.unflushed & self.unanswered(next, &me);
                if silent == 0 || !next.is_late(i) {
                    return false;
                }
                let me = &mut next.initiators[i];
                (me.at, me.left, me.gone) = (At::SignalAgain, silent, 0);
                me.phase = Phase::SignalledAgain;
            }
            (Transition::FallBack, At::Await)
                if matches!(me.phase, Phase::Signalled | Phase::SignalledAgain) =>
            {
                let may_succeed = me.open & me.unflushed & !self.refused(next, &me);
                if may_succeed != 0 && !next.is_late(i) {
                    return false;
                }
                let me = &mut next.initiators[i];
                (me.phase, me.gone) = (Phase::Asked, 0);
                if me.open & me.unflushed != 0 {
                    (me.asked, me.at) = (me.unflushed, At::Ticket);
                }
            }
            (Transition::Escalate, At::Await) if me.phase == Phase::Asked => {
                if !next.is_late(i) {
                    return false;
                }
                let me = &mut next.initiators[i];
                (me.phase, me.at) = (Phase::AskedAgain, At::Nmi);
                (me.left, me.gone) = (me.unflushed, 0);
            }
            (Transition::GiveUp, At::Await) if me.phase == Phase::AskedAgain => {
                if self.is(Mutant::NoDeadline) || !next.is_late(i) {
                    return false;
                }
                self.settle(&mut next.initiators[i], Outcome::Late);
            }
            (Transition::DropFlush, At::Await) if next.budget.dropped > 0 => {
                next.budget.dropped -= 1;
                self.settle(&mut next.initiators[i], Outcome::Dropped);
            }
            (Transition::ForgetFlush, At::Await) if next.budget.forgotten > 0 => {
                next.budget.forgotten -= 1;
                let me = &mut next.initiators[i];
                (me.outcome, me.at, me.gone) = (Outcome::Forgotten, At::Return, 0);
            }
            _ => return false,
        }
        true
    }

    fn unanswered(&self, state: &State, me: &Initiator) -> Mask {
        let slot = me.slot_index();
        state.targets_that(|target| !target.bytes[slot].is_final())
    }

    fn refused(&self, state: &State, me: &Initiator) -> Mask {
        let slot = me.slot_index();
        state.targets_that(|target| target.known && target.bytes[slot] == Byte::Failure)
    }

    /// Makes a step that ends the ownership of the slot, and the flush.
    pub(crate) fn end(&self, next: &mut State, i: usize, what: Transition, to: usize) -> bool {
        let me = next.initiators[i];
        let slot = me.slot_index();
        let is_mine = next.slots[slot] == me.word;
        match (what, me.at) {
            (Transition::SettleLook, At::Settle) => {
                let open =
                    next.targets_that(|target| target.known && !target.bytes[slot].is_final());
                next.initiators[i].at = match open & me.open {
                    0 => At::Unpost,
                    _ if self.is(Mutant::NoQuarantine) => At::GiveBack,
                    _ => At::Quarantine,
                };
            }
            (Transition::Unpost, At::Unpost) => {
                let refused = next.refusals(slot);
                let me = &mut next.initiators[i];
                me.at = At::GiveBack;
                if is_mine {
                    me.word.kind = Kind::Claimed;
                    next.slots[slot] = me.word;
                    if refused != 0 {
                        (me.left, me.at) = (refused, At::ForgetOwn);
                    }
                }
            }
            (Transition::ForgetFailure, At::ForgetOwn) if has(me.left, to) => {
                next.targets[to].bytes[slot] = Byte::Success;
                let me = &mut next.initiators[i];
                me.left &= !bit(to);
                if me.left == 0 {
                    me.at = At::GiveBack;
                }
            }
            (Transition::GiveBack, At::GiveBack) => {
                if is_mine {
                    if next.open_bytes(slot) != 0 {
                        next.breaks(Invariant::I2);
                    }
                    next.slots[slot].kind = Kind::Free;
                    next.slots[slot].owner = 0;
                }
                next.initiators[i].at = At::Return;
            }
            (Transition::Quarantine, At::Quarantine) => {
                if is_mine {
                    next.slots[slot].kind = Kind::Quarantined;
                }
                next.initiators[i].at = At::Return;
            }
            (Transition::Return, At::Return) => {
                if me.outcome == Outcome::Flushed {
                    next.ok |= bit(flush_of(i, me.flush));
                }
                let flush = me.flush + 1;
                let at = if flush < self.scenario.flushes[i] {
                    self.first_step()
                } else {
                    At::Done
                };
                next.initiators[i] = Initiator {
                    at,
                    flush,
                    ..Initiator::default()
                };
            }
            _ => return false,
        }
        true
    }
}
