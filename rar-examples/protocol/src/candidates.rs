//! Which steps may be enabled in a state.

use crate::model::Model;
use crate::state::{
    ALL_SLOTS, ALL_TARGETS, At, INITIATORS, Initiator, Life as L, Mask, SLOTS, Stage as S, State,
    TARGETS, Target, bit, first,
};
use crate::transition::{Action, Transition as T};

/// Collects the steps of one initiator or target.
struct Steps<'f> {
    who: usize,
    found: &'f mut dyn FnMut(Action),
}

impl Steps<'_> {
    fn one(&mut self, what: T, to: usize) {
        (self.found)(Action {
            what,
            who: self.who as u8,
            to: to as u8,
        });
    }

    /// One for each member of a set.
    fn each(&mut self, mut set: Mask, what: T) {
        while set != 0 {
            self.one(what, first(set));
            set &= !bit(first(set));
        }
    }
}

impl Model {
    /// Calls `found` with each step that may be enabled.
    pub fn candidates(&self, state: &State, found: &mut dyn FnMut(Action)) {
        for who in 0..INITIATORS {
            of_initiator(&state.initiators[who], &mut Steps { who, found });
        }
        for who in 0..TARGETS {
            of_target(&state.targets[who], &mut Steps { who, found });
        }
    }
}

fn of_initiator(me: &Initiator, add: &mut Steps<'_>) {
    match me.at {
        At::Store => add.one(T::ChangePageTable, 0),
        At::Begin => add.one(T::BeginFlush, 0),
        At::Read => add.one(T::ReadTargets, 0),
        At::Look => add.one(T::TakesEntriesOnly, 0),
        At::Sort => add.each(me.left, T::SortTarget),
        At::Claim | At::Wait => {
            for slot in 0..SLOTS {
                add.one(T::ClaimSlot, slot);
                if me.at == At::Wait {
                    add.one(T::LookAtSlot, slot);
                }
            }
            add.one(
                if me.at == At::Wait {
                    T::NoSlot
                } else {
                    T::NoFreeSlot
                },
                0,
            );
        }
        At::TakeOver if me.left != 0 => add.each(me.left, T::ReadByte),
        At::TakeOver => add.one(T::TakeOver, 0),
        At::Forget | At::ForgetOwn => add.each(me.left, T::ForgetFailure),
        At::Payload => add.one(T::StorePayload, 0),
        At::Arm => add.each(me.left, T::Arm),
        At::Post => add.one(T::Post, 0),
        At::Signal | At::SignalAgain => {
            add.each(me.left, T::Signal);
            add.each(me.left, T::LoseSignal);
        }
        At::Ticket => add.one(T::DrawTicket, 0),
        At::Request => add.each(me.left, T::Request),
        At::Interrupt => add.each(me.left, T::Interrupt),
        At::FlushSelf => add.one(T::FlushSelf, 0),
        At::Await => {
            const OF_A_TARGET: [T; 6] = [
                T::SeeSuccess,
                T::SeeUnknown,
                T::SeeOffline,
                T::SeeNoResponder,
                T::SeeJoined,
                T::SeeFlushed,
            ];
            for what in OF_A_TARGET {
                add.each(ALL_TARGETS, what);
            }
            const OF_ALL: [T; 7] = [
                T::SeeTakenOver,
                T::SignalAgain,
                T::FallBack,
                T::Escalate,
                T::GiveUp,
                T::DropFlush,
                T::ForgetFlush,
            ];
            OF_ALL.into_iter().for_each(|what| add.one(what, 0));
        }
        At::Demote => add.one(T::Demote, 0),
        At::CountDemotion => add.one(T::CountDemotion, 0),
        At::Nmi => add.each(me.left, T::SendNmi),
        At::Settle => add.one(T::SettleLook, 0),
        At::Unpost => add.one(T::Unpost, 0),
        At::GiveBack => add.one(T::GiveBack, 0),
        At::Quarantine => add.one(T::Quarantine, 0),
        At::Return => add.one(T::Return, 0),
        At::Done => {}
    }
}

fn of_target(target: &Target, add: &mut Steps<'_>) {
    let unit = &target.unit;
    if unit.enabled && !unit.deaf {
        if unit.latched {
            add.one(T::Scan, 0);
        }
        if unit.work != 0 {
            add.one(
                if unit.flushed {
                    T::Answer
                } else {
                    T::UnitFlush
                },
                0,
            );
            add.one(T::Refuse, 0);
        } else {
            add.each(ALL_SLOTS, T::Pass);
            add.each(ALL_SLOTS, T::ReadPayload);
        }
        add.one(T::FallSilent, 0);
    }
    if target.irq {
        add.one(T::TakeInterrupt, 0);
    }
    if target.nmi {
        add.one(T::TakeNmi, 0);
    }
    add.one(T::ServeInSpin, 0);
    add.one(T::GetNmi, 0);
    add.one(T::Hang, 0);
    add.one(T::Die, 0);
    if let Some(top) = usize::from(target.depth).checked_sub(1) {
        let frame = &target.frames[top];
        match frame.stage {
            S::Scan => add.one(T::ScanVector, 0),
            S::Take => add.each(frame.scan, T::TakeEntry),
            S::Entry => add.each(frame.taken, T::FlushEntry),
            S::Finish => add.each(frame.taken, T::FinishEntry),
            S::Newest => add.one(T::ReadNewest, 0),
            S::FlushAll => add.one(T::FlushAll, 0),
            S::Publish => add.one(T::Complete, 0),
            S::Quiet => add.one(T::LookQuiet, 0),
            S::Promote => add.one(T::Promote, 0),
            S::CountPromotion => add.one(T::CountPromotion, 0),
        }
        return;
    }
    match target.life {
        L::Online => {
            add.one(T::PublishOffline, 0);
            add.one(T::EnterLazy, 0);
            add.one(T::Distrust, 0);
        }
        L::LeaveDisable | L::VerifyDisable => add.one(T::DisableUnit, 0),
        L::LeaveTake | L::VerifyTake => {
            add.each(target.left, T::TakeOpen);
            add.each(target.left, T::FindOpen);
        }
        L::LeaveFlush | L::LeaveFlushNewest | L::VerifyFlush | L::VerifyFlushNewest => {
            add.one(T::FlushAll, 0);
        }
        L::LazyFlushNewest => add.one(T::FlushAll, 0),
        L::LeaveNewest | L::VerifyNewest | L::LazyNewest => add.one(T::ReadNewest, 0),
        L::LeavePublish | L::VerifyPublish | L::LazyPublish => add.one(T::Complete, 0),
        L::LeaveEnd | L::VerifyEnd => add.each(target.open, T::EndEntry),
        L::JoinEnd | L::DeadEnd => add.each(target.left, T::EndEntry),
        L::LeavePromote | L::JoinPromote | L::VerifyPromote | L::DeadPromote => {
            add.one(T::Promote, 0);
        }
        L::LeaveCountPromotion
        | L::JoinCountPromotion
        | L::VerifyCountPromotion
        | L::DeadCountPromotion => add.one(T::CountPromotion, 0),
        L::LeaveRetire => add.one(T::Retire, 0),
        L::Offline => add.one(T::BeginJoin, 0),
        L::JoinEnable | L::VerifyEnable => add.one(T::EnableUnit, 0),
        L::JoinFlush => add.one(T::FlushBefore, 0),
        L::JoinClearModes | L::DeadClearModes => add.one(T::ClearModes, 0),
        L::JoinResponder => add.one(T::SetResponder, 0),
        L::JoinPublish => add.one(T::PublishOnline, 0),
        L::JoinCount => add.one(T::CountJoin, 0),
        L::JoinFlushAgain => add.one(T::FlushAfter, 0),
        L::JoinDone => add.one(T::StoreJoined, 0),
        L::Lazy => add.one(T::LeaveLazy, 0),
        L::LazyFlush => add.one(T::FlushMissed, 0),
        L::LazyForget => add.one(T::ForgetMissed, 0),
        L::Hung => {}
        L::Dead => add.one(T::DeclareDead, 0),
        L::DeadUnregister => add.one(T::Unregister, 0),
        L::DeadForget => add.one(T::ForgetCpu, 0),
        L::DeadEndLife => add.one(T::EndLife, 0),
        L::Unregistered => add.one(T::Register, 0),
    }
}
