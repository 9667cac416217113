//! The steps of `Shootdown::start` and `flush`: from the page table to the signal.

use crate::invariant::Invariant;
use crate::model::Model;
use crate::mutant::Mutant;
use crate::state::{
    At, Byte, DEMOTED, Initiator, Kind, LAZY, MISSED, Mask, Phase, Responder, State, bit, flush_of,
    has,
};
use crate::transition::Transition;

impl Model {
    /// Returns where a flush begins.
    pub(crate) fn first_step(&self) -> At {
        match self.mutant {
            Some(Mutant::ReadsTargetsEarly) => At::Begin,
            _ => At::Store,
        }
    }

    /// Makes a step between the store to the page table and the look at the targets.
    pub(crate) fn begin(&self, next: &mut State, i: usize, what: Transition) -> bool {
        let me = next.initiators[i];
        let early = self.is(Mutant::ReadsTargetsEarly);
        let flush = bit(flush_of(i, me.flush));
        match (what, me.at) {
            (Transition::ChangePageTable, At::Store) => {
                next.changed |= flush;
                for target in &mut next.targets {
                    target.stale |= flush;
                }
                next.initiators[i].at = At::Begin;
                if early {
                    self.after_read(&mut next.initiators[i]);
                }
            }
            (Transition::BeginFlush, At::Begin) => {
                next.initiators[i].since = next.joins;
                next.initiators[i].at = At::Read;
            }
            (Transition::ReadTargets, At::Read) => {
                let mut aim = next.targets_that(|target| target.online);
                if self.scenario.each_other && !self.is(Mutant::SignalsItself) {
                    aim &= !bit(i);
                }
                if next.changed & flush == 0 {
                    next.breaks(Invariant::I10);
                }
                let me = &mut next.initiators[i];
                me.aim = aim;
                me.at = At::Store;
                if !early {
                    self.after_read(me);
                }
            }
            (Transition::TakesEntriesOnly, At::Look) => self.look(next, i),
            _ => return false,
        }
        true
    }

    fn after_read(&self, me: &mut Initiator) {
        me.at = match me.aim {
            0 if self.scenario.each_other => At::FlushSelf,
            0 => At::Return,
            _ => At::Look,
        };
    }

    fn skips_lazy(&self, i: usize) -> bool {
        let tables = self.scenario.is_of_tables(i) && !self.is(Mutant::TablesSkipLazy);
        self.scenario.skips_lazy && !tables
    }

    fn look(&self, next: &mut State, i: usize) {
        let me = next.initiators[i];
        let lazy = next.targets_that(|target| target.flags & LAZY != 0) & me.aim;
        let skips_lazy = self.skips_lazy(i);
        let entries_only = next.exceptions == 0
            && match me.general {
                false => !(skips_lazy && lazy != 0),
                true => !skips_lazy,
            };
        if entries_only && self.counter_lies(next, me.aim) {
            next.breaks(Invariant::I16);
        }
        let me = &mut next.initiators[i];
        if entries_only {
            (me.open, me.unflushed, me.at) = (me.aim, me.aim, At::Claim);
        } else if !me.general {
            me.general = true;
        } else {
            (me.left, me.at) = (me.aim, At::Sort);
        }
    }

    /// A CPU is demoted, the counter says that none is, and no CPU is about to count.
    fn counter_lies(&self, state: &State, aim: Mask) -> bool {
        let demoted = state.targets_that(|target| target.flags & DEMOTED != 0) & aim;
        let counts = state
            .initiators
            .iter()
            .any(|initiator| initiator.at == At::CountDemotion)
            || state.targets.iter().any(|target| target.is_counting());
        demoted != 0 && !counts
    }

    pub(crate) fn sort(&self, next: &mut State, i: usize, t: usize) {
        let flags = next.targets[t].flags;
        if self.skips_lazy(i) && flags & LAZY != 0 {
            if self.scenario.is_of_tables(i) {
                next.breaks(Invariant::I13);
            }
            if !self.is(Mutant::MissNotNoted) {
                next.targets[t].flags |= MISSED;
            }
        } else if flags & DEMOTED != 0 && next.targets[t].known && !self.is(Mutant::ArmsDemoted) {
            next.initiators[i].asked |= bit(t);
        } else {
            if flags & DEMOTED != 0 && next.targets[t].known {
                next.breaks(Invariant::I16);
            }
            next.initiators[i].open |= bit(t);
        }
        let me = &mut next.initiators[i];
        me.left &= !bit(t);
        if me.left == 0 {
            me.unflushed = me.open | me.asked;
            me.at = match (me.open, me.asked) {
                (0, 0) => At::Return,
                (0, _) => At::Ticket,
                _ => At::Claim,
            };
        }
    }

    pub(crate) fn after_claim(&self, me: &mut Initiator) {
        me.at = At::Payload;
        if self.is(Mutant::ArmsBeforePayload) {
            (me.at, me.left) = (At::Arm, me.open);
        }
    }

    /// Makes a step that writes, arms, posts or signals.
    pub(crate) fn send(&self, next: &mut State, i: usize, what: Transition, to: usize) -> bool {
        let me = next.initiators[i];
        let slot = me.slot_index();
        let flush = flush_of(i, me.flush);
        let is_next = has(me.left, to);
        match (what, me.at) {
            (Transition::ForgetFailure, At::Forget) if is_next => {
                next.targets[to].bytes[slot] = Byte::Success;
                let me = &mut next.initiators[i];
                me.left &= !bit(to);
                if me.left == 0 {
                    self.after_claim(me);
                }
            }
            (Transition::StorePayload, At::Payload) => {
                if next.open_bytes(slot) != 0 {
                    next.breaks(Invariant::I2);
                }
                next.payload[slot] = flush as u8 + 1;
                let me = &mut next.initiators[i];
                (me.at, me.left) = match self.mutant {
                    Some(Mutant::ArmsBeforePayload) => (At::Post, 0),
                    Some(Mutant::SignalsBeforeArming) => (At::Signal, me.open),
                    _ => (At::Arm, me.open),
                };
            }
            (Transition::Arm, At::Arm) if is_next => self.arm(next, i, to),
            (Transition::Post, At::Post) => {
                let me = &mut next.initiators[i];
                me.word.kind = Kind::Posted;
                (me.posted, me.phase) = (true, Phase::Signalled);
                (me.at, me.left) = (At::Signal, me.open);
                next.slots[slot] = me.word;
                if self.is(Mutant::SignalsBeforeArming) {
                    self.after_signal(&mut next.initiators[i]);
                }
            }
            (Transition::Signal | Transition::LoseSignal, At::Signal | At::SignalAgain)
                if is_next =>
            {
                return self.signal(next, i, what, to);
            }
            _ => return false,
        }
        true
    }

    fn arm(&self, next: &mut State, i: usize, t: usize) {
        let me = next.initiators[i];
        let slot = me.slot_index();
        if next.targets[t].known {
            if next.payload[slot] != flush_of(i, me.flush) as u8 + 1 {
                next.breaks(Invariant::I4);
            }
            let is_mine = next.slots[slot] == me.word && me.word.kind == Kind::Claimed;
            if !is_mine || next.open_bytes(slot) & bit(t) != 0 {
                next.breaks(Invariant::I3);
            }
            next.targets[t].bytes[slot] = Byte::Pending;
        }
        let me = &mut next.initiators[i];
        me.armed |= bit(t);
        me.left &= !bit(t);
        if me.left == 0 {
            me.at = match self.mutant {
                Some(Mutant::ArmsBeforePayload) => At::Payload,
                _ => At::Post,
            };
        }
    }

    fn signal(&self, next: &mut State, i: usize, what: Transition, t: usize) -> bool {
        if what == Transition::LoseSignal {
            if next.budget.lost == 0 {
                return false;
            }
            next.budget.lost -= 1;
        } else if self.scenario.responder == Responder::Microcode {
            let unit = &mut next.targets[t].unit;
            unit.latched |= unit.enabled;
        } else if !next.targets[t].is_dead() {
            next.targets[t].irq = true;
        }
        if !has(next.initiators[i].armed, t) {
            next.breaks(Invariant::I4);
        }
        if self.scenario.each_other && i == t {
            next.breaks(Invariant::I8);
        }
        let me = &mut next.initiators[i];
        me.left &= !bit(t);
        if me.left == 0 {
            match (me.at, self.mutant) {
                (At::SignalAgain, _) => me.at = At::Await,
                (_, Some(Mutant::SignalsBeforeArming)) => (me.at, me.left) = (At::Arm, me.open),
                _ => self.after_signal(me),
            }
        }
        true
    }

    fn after_signal(&self, me: &mut Initiator) {
        me.at = if me.asked != 0 {
            At::Ticket
        } else if self.scenario.each_other && !me.flushed_self {
            At::FlushSelf
        } else {
            At::Await
        };
    }
}
