//! A number that each step lowers, so that no run is endless (I7).

use crate::model::Model;
use crate::state::{
    At, Budget, Byte, Frame, Initiator, Life, Phase, SLOTS, Stage, State, Target, has,
};

/// What one unit of an initiator's way is worth: more than all that one of its steps can raise
/// elsewhere.
const STEP: u32 = 64;
/// The longest way of one flush, in such units.
const FLUSH: u32 = 1200;
/// What an event is worth that may happen to the machine.
const EVENT: u32 = 2000;
/// A request that no call of `answer` covers, or a PENDING byte.
const ASKED: u32 = 50;
/// An interrupt that waits.
const WAITING: u32 = 45;

/// Returns the number.
#[must_use]
pub fn potential(model: &Model, state: &State) -> u32 {
    let initiators: u32 = state
        .initiators
        .iter()
        .enumerate()
        .map(|(i, initiator)| {
            let more = model.scenario.flushes[i].saturating_sub(initiator.flush + 1);
            u32::from(more) * FLUSH * STEP + way(model, state, initiator)
        })
        .sum();
    let targets: u32 = state.targets.iter().map(of_target).sum();
    initiators + targets + of_budget(&state.budget)
}

fn of_budget(budget: &Budget) -> u32 {
    let Budget {
        late,
        nmis,
        hung,
        lost,
        refused,
        deaf,
        dropped,
        forgotten,
        leaves,
        lazy,
        verifies,
        deaths,
    } = *budget;
    let events = [
        late, nmis, hung, lost, refused, deaf, dropped, forgotten, leaves, lazy, verifies, deaths,
    ];
    events
        .into_iter()
        .map(|event| u32::from(event) * EVENT)
        .sum()
}

/// How far a flush is from its end.
fn way(model: &Model, state: &State, me: &Initiator) -> u32 {
    let left = me.left.count_ones();
    // Of the two only the first counts for the end.
    let unseen = 4 * me.unflushed.count_ones() + me.open.count_ones();
    let phase = match me.phase {
        Phase::Start => 800,
        Phase::Signalled => 600,
        Phase::SignalledAgain => 400,
        Phase::Asked => 250,
        Phase::AskedAgain => 100,
    };
    let asks = if model.is(crate::mutant::Mutant::SignalsBeforeArming) {
        0
    } else {
        1
    };
    let units = match me.at {
        At::Done => return 0,
        At::Return => 2,
        At::GiveBack | At::Quarantine => 4,
        At::ForgetOwn => 5 + left,
        At::Unpost => 8,
        At::Settle => 10,
        At::Await => phase + unseen,
        At::CountDemotion => phase + unseen + 1,
        At::Demote => phase + unseen + 2,
        At::Nmi | At::SignalAgain => phase + 20 + left,
        At::FlushSelf => phase + 20,
        At::Interrupt => phase + 30 + left,
        At::Request => phase + 40 + left,
        At::Ticket => phase + 50,
        At::Signal => phase + 60 + left,
        At::Post => 900,
        At::Arm if asks == 0 => 580 + left,
        At::Arm => 910 + left,
        At::Payload => 930,
        At::Forget => 940 + left,
        At::TakeOver | At::Wait => 960,
        At::Claim if me.general => 970,
        At::Sort => 980 + left,
        At::Look if me.general => 1000,
        At::Claim => 1010,
        At::Look => 1020,
        At::Read => 1040,
        At::Begin => 1060,
        At::Store => 1080,
    };
    let look = match me.at {
        At::TakeOver if can_fail(model, state, me) => 5 + left,
        At::TakeOver => left,
        _ => 4,
    };
    STEP * units + look - u32::from(me.gone != 0)
}

/// Whether the look at a slot finds that it cannot be taken over.
fn can_fail(model: &Model, state: &State, me: &Initiator) -> bool {
    let slot = me.slot_index();
    state.slots[slot] != me.word
        || (0..state.targets.len())
            .any(|t| has(me.left, t) && !model.frees(me.word.kind, state.targets[t].bytes[slot]))
}

fn of_target(target: &Target) -> u32 {
    let unit = &target.unit;
    let work = match (unit.work, unit.flushed) {
        (0, _) => 2,
        (_, false) => 1,
        (_, true) => 0,
    };
    let mut sum = 4 * unit.todo.count_ones() + work + 12 * u32::from(unit.latched);
    sum += WAITING * (u32::from(target.irq) + u32::from(target.nmi));
    let frames = || target.frames.iter().take(usize::from(target.depth));
    sum += frames().map(of_frame).sum::<u32>();
    for slot in 0..SLOTS {
        let covered = frames().any(|frame| frame.stage == Stage::Scan || has(frame.scan, slot));
        sum += ASKED * u32::from(target.bytes[slot] == Byte::Pending && !covered);
    }
    let reads = |frame: &Frame| frame.stage <= Stage::Newest || frame.newest >= target.newest;
    let asked = target.newest > target.completed && !frames().any(reads);
    sum + ASKED * u32::from(asked) + of_life(target)
}

fn of_frame(frame: &Frame) -> u32 {
    let entries = 2 * frame.taken.count_ones();
    match frame.stage {
        Stage::Scan => 34,
        Stage::Take => 24 + 3 * frame.scan.count_ones() + entries,
        Stage::Entry | Stage::Finish => {
            10 + 4 * frame.taken.count_ones() + u32::from(frame.work == 0)
        }
        Stage::Newest => 8,
        Stage::FlushAll => 7,
        Stage::Publish => 6,
        Stage::Quiet => 5,
        Stage::Promote => 4,
        Stage::CountPromotion => 3,
    }
}

fn of_life(target: &Target) -> u32 {
    let left = target.left.count_ones();
    let open = target.open.count_ones();
    use Life as L;
    let units = match target.life {
        L::Online | L::Hung => 0,
        L::JoinDone => 1,
        L::JoinFlushAgain => 2,
        L::JoinCount => 3,
        L::JoinPublish => 4,
        L::JoinResponder => 5,
        L::JoinCountPromotion => 6,
        L::JoinPromote => 7,
        L::JoinClearModes => 8,
        L::JoinFlush => 9,
        L::JoinEnable => 10,
        L::JoinEnd => 11 + left,
        L::Offline => 14,
        L::LeaveRetire => 15,
        L::LeaveCountPromotion => 16,
        L::LeavePromote => 17,
        L::LeaveEnd => 18 + open,
        L::LeavePublish => 21,
        L::LeaveFlushNewest => 22,
        L::LeaveNewest => 23,
        L::LeaveFlush => 24,
        L::LeaveTake => 25 + left,
        L::LeaveDisable => 28,
        L::LazyPublish | L::VerifyCountPromotion | L::Unregistered => 15,
        L::LazyFlushNewest | L::VerifyPromote | L::DeadEndLife => 16,
        L::LazyNewest | L::VerifyEnable | L::DeadForget => 17,
        L::LazyForget | L::DeadUnregister => 18,
        L::LazyFlush | L::DeadClearModes => 19,
        L::Lazy | L::DeadCountPromotion => 20,
        L::VerifyEnd => 18 + open,
        L::VerifyPublish | L::DeadPromote => 21,
        L::VerifyFlushNewest => 22,
        L::VerifyNewest => 23,
        L::VerifyFlush => 24,
        L::VerifyTake => 25 + left,
        L::VerifyDisable => 28,
        L::DeadEnd => 22 + left,
        L::Dead => 26,
    };
    // A step of a life can uncover what a request or a byte asks for.
    units * 16
}
